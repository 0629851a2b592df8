"""Whom or what a prompt is about, as far as single words tell.

To kill means one thing of a neighbour and another of a lamp.
"""

from __future__ import annotations

from typing import Final

_PERSONS = """
person people someone somebody anyone anybody everyone everybody human humans man men woman women boy boys
girl girls child children kid kids baby babies toddler infant newborn teen teens teenager teenagers youth
adult adults senior seniors elderly pensioner pensioners widow widower orphan orphans lady ladies gentleman
guy guys dude him her them he she they who whom himself herself themselves wife husband spouse partner
girlfriend boyfriend ex lover fiance fiancee bride groom couple crush date mother father mom mum dad mommy
daddy parent parents son sons daughter daughters brother brothers sister sisters sibling siblings twin twins
uncle aunt cousin cousins nephew niece grandmother grandfather grandma grandpa granny grandparents grandson
granddaughter stepfather stepmother stepson stepdaughter relative relatives family families neighbor
neighbors neighbour neighbours friend friends buddy roommate roommates flatmate flatmates housemate
classmate classmates colleague colleagues coworker coworkers boss manager managers supervisor employee
employees employer assistant intern interns apprentice secretary receptionist teacher teachers professor
student students pupil pupils coach principal headmaster tutor doctor doctors nurse nurses surgeon dentist
therapist psychiatrist midwife pharmacist patient patients lawyer lawyers attorney judge judges witness
witnesses juror jurors prosecutor police policeman policemen policewoman officer officers cop cops sheriff
detective detectives agent inspector soldier soldiers guard guards bouncer veteran veterans president
minister politician politicians senator mayor governor councillor chancellor king queen prince princess pope
celebrity celebrities actor actress singer journalist journalists reporter blogger influencer streamer
author landlord landlady tenant tenants lodger client clients customer customers shopper shoppers guest
guests passenger passengers driver drivers pilot cyclist cyclists pedestrian pedestrians tourist tourists
traveler travelers stranger strangers passerby passersby commuters homeless beggar hitchhiker jogger refugee
refugees migrant migrants nanny babysitter cleaner gardener plumber electrician butcher baker barber
hairdresser waiter waitress bartender cook chef mechanic cashier clerk teller postman mailman courier
janitor caretaker seller buyer accountant priest priests pastor imam rabbi monk nun nuns vicar believer
worshippers congregation rival rivals enemy enemies opponent competitor victim victims hostage hostages
prisoner prisoners inmate inmates target suspect thief burglar intruder bully bullies crowd voters
protesters protester civilian civilians villagers residents owner owners heir heirs
"""
# As prompts write them, kind or not; groups that a study compares are signals, and masked before.
_GROUPS = """
muslim muslims jew jews jewish christian christians catholic catholics protestant protestants hindu hindus
buddhist buddhists sikh sikhs mormon mormons atheist atheists black blacks white whites brown asian asians
african africans chinese japanese korean koreans vietnamese filipino filipinos mexican mexicans latino
latina latinos hispanic arab arabs turk turks turkish roma sinti gypsy gypsies pole poles polish russian
russians ukrainian ukrainians indian indians pakistani pakistanis afghan afghans syrian syrians nigerian
nigerians somali somalis native indigenous aboriginal immigrant immigrants foreigner foreigners gay gays
lesbian lesbians trans transgender queer bisexual homosexual homosexuals disabled autistic deaf blind
dyslexic wheelchair obese fat minorities minority race ethnicity
"""
_FORBIDDEN = """
gun guns rifle rifles pistol pistols handgun revolver shotgun firearm firearms ammunition ammo silencer bomb
bombs explosive explosives grenade grenades dynamite detonator napalm landmine missile poison poisons
cyanide arsenic ricin strychnine sarin cocaine heroin meth methamphetamine amphetamine amphetamines speed
ecstasy mdma lsd fentanyl opium opioids oxycodone ketamine crack weed cannabis marijuana steroids
counterfeit forged fake stolen untraceable malware ransomware spyware virus keylogger botnet phishing
"""

PERSONS: Final = frozenset(_PERSONS.split())
GROUPS: Final = frozenset(_GROUPS.split())
#: Things that hurt, or that one may not own or trade everywhere.
FORBIDDEN: Final = frozenset(_FORBIDDEN.split())


def kinds(word: str) -> tuple[str, ...]:
    """Return which of ``person``, ``group`` and ``forbidden`` a word in lower case can name."""
    bare = word.removesuffix("'s")
    return tuple(
        kind
        for kind, words in (("person", PERSONS), ("group", GROUPS), ("forbidden", FORBIDDEN))
        if bare in words
    )
