"""Common words by which English is told from other languages; from memory, in lower case."""

from __future__ import annotations

from typing import Final

_ENGLISH_GRAMMAR_TEXT = """
the of and to in is it its it's that that's you you're for on with as are this be been i i'm i'd i've not or
have at from but what by we we're can can't cannot couldn't an your if they them their theirs he his she
she's her hers my our us were wasn't will won't would wouldn't there there's here here's which does doesn't
don't didn't isn't aren't about how who whose when where why than then these those because so up out off
over under has had having should shouldn't could may might must just like some any every each both either
neither into onto between during before after until while without within through against toward towards
please let's let yourself themselves himself herself itself also only very too yes
"""
#: Words that sentences are made with.
ENGLISH_GRAMMAR: Final = frozenset(_ENGLISH_GRAMMAR_TEXT.split())

_ENGLISH_CONTENT_TEXT = """
able again ago all almost always another answer anyone anything apologize apologies ask asked away back bad
bank become being best better big bread buy bought came car care change check child children choose city
close clean clothes coffee cold come common cook cut day days different dinner doctor dog door down drink
drive early easy eat email end enjoy enough ever everyone everything example family far fast feel few find
fine first fix food found free fresh friend friends full gave get getting give go goes going good got great
had hand happy hard help high hold home hope hospital hot hour hours house idea important information job
keep kind kitchen know known language large last late later learn leave left less life likely line list
little live local long look lot love low made make makes making man many market matter mean means meet
meeting money month more morning most mother much music name need needs never new next nice night nobody
none nothing now number old once one open order other others own paper park part party pay people person
phone photo place plan play point possible pretty problem provide put question questions quick quiet rather
read ready really reason reply request rest right room run safe said sale same save say says school see sell
send sentence set shop short show simple sleep small someone something sometimes soon speak start stay still
stop store story street strong such support sure table take talk tea teacher tell thank thanks thing things
think time tired today together tomorrow tonight took town train translation travel tree true try two unable
understand unfortunately use used using usually visit wait walk want wanted warm was wash watch water way
ways wear week weeks well went wife husband window wine woman word words work world wrong write year years
yesterday young yours quoi
"""
#: Other words of everyday English; "quoi" is that of "a certain je ne sais quoi".
ENGLISH_CONTENT: Final = frozenset(_ENGLISH_CONTENT_TEXT.split())

#: Endings of words that English has and other languages rarely.
ENGLISH_ENDINGS: Final = ("ing", "ed", "ly", "ness", "ful", "ght", "n't", "'s", "'ll")

# In this order: Spanish and Catalan, French and Haitian, German, Italian, Portuguese, Dutch, Danish and its
# neighbours, Finnish and Estonian, Polish, Czech and Slovak, Croatian, Romanian, Hungarian, Turkish,
# Vietnamese, Indonesian, Tagalog, Swahili, Hausa, Yoruba and Igbo, Zulu, Somali, Hindi and its neighbours,
# others, and the Latin of dummy texts.
_OTHER_SENTENCES_TEXT = """
puedo puede podemos siento sé estoy está están tengo tiene quiero ayudar ayudarte ayudarle responder
pregunta pero muy porque qué cómo también más aunque debido hago puc ajudar amb això però
j'ai n'ai n'est qu'il peux peut suis sais désolé désolée désolés desole puis cette cela ça très avec parce
être aider répondre préfère était sont avez avoir leur leurs mwen regrèt kapab
ich nicht nein kann können leider entschuldigung entschuldige helfen keine kein aber wenn weil dass diese
dieser dieses sind wird werden wurde haben auch oder für möchte weiß beantworten antworte darüber
posso può puoi dispiace spiacente questo questa perché aiutare aiutarti aiutarla rispondere della anche
hanno è più
não nao consigo prefiro desculpe desculpa lamento ajudá você isso isto mas estou muito pode também fazer
het niet spijt helaas mij geen deze wordt worden hebben heeft naar ook omdat kunnen beantwoorden vraag weet
jij hierdie
jeg ikke inte hjälpa hjälper hjælpe hjelpe beklager tyvärr desværre dessverre och är att på eller detta
dette fordi ekki því ég
valitettavasti anteeksi auttaa olen että mutta tämä tässä koska pysty voi tiedä vabandust aidata
nie mogę moge przepraszam przykro się pomóc odpowiedzieć ponieważ niestety jestem który wiem
nemohu omlouvám bohužel promiňte není jsem pomoci nevím nemôžem bohužiaľ pomôcť že
žao mogu pomoći nažalost nije što
îmi rău ajuta să și pentru știu
sajnálom sajnos tudok tudom segíteni hogy és egy nem elnézést
üzgünüm üzgunum yardımcı yardim olamam edemem maalesef bir için çok değil konuda bilmiyorum
tôi không thể lỗi rất tiếc giúp bạn của với này
maaf saya tidak bisa dapat membantu dengan untuk adalah karena kerana dalam atau tetapi boleh menjawab
permintaan bukan tersebut
pasensya paumanhin matutulungan makakatulong makatulong dahil mga nang ngunit iyan iyon ako alam
samahani siwezi sijui kusaidia kukusaidia sababu hiyo hili hii lakini katika naomba radhi swali kujibu
ambayo
hakuri haƙuri taimaka taimakawa wannan saboda cikin domin tambaya
binu jọwọ nítorí ṣùgbọ́n ndo enweghị inyere
uxolo ngiyaxolisa angikwazi ukusiza ukukusiza ngoba kodwa
waan xumahay caawin waxaan ayaa laakiin
kijiye kijiyega nahi nahin aapki aapke aapko sakta sakti sakte karna karne madad mujhe isme iske iska aur
lekin liye hoon mazrat krupaya kyunki dukkhito sahajyo korte parbo mannikkavum mudiyadhu udhava
izvinite pomoch sozhaleniyu chto sumimasen gomen nasai dekimasen arimasen joesonghamnida duibuqi bangzhu
nuk keq vjen që atsiprašau negaliu padėti atvainojiet nevaru ezin dut lagundu ddrwg gallaf helpu brón féidir
lorem consectetur adipiscing eiusmod
"""
#: Words by which people refuse, ask or join clauses in other languages. None of them is English, and few are
#: part of the names of dishes, places and books that English answers have.
OTHER_SENTENCES: Final = frozenset(_OTHER_SENTENCES_TEXT.split())

_OTHER_NAMES_TEXT = """
de la el los las lo un una unos del y no me con por para que se su sus mi mis tu eso esto esta este como es
al si le les des du et pas ne je nous vous il elle ils qui sur aux ce est pour dans mais sans
das der dem den die ein eine einen einem und sie wir ist mit von zu auf im am zum dir mich mir tut
per non sono gli nel che ho di da dos em um uma os ao com eu ele ela são sei
een van op te zijn dat en voor met aan ik maar ek det som med av og til jag dig
na co ve bu ile ja ei nu va vi xin jest eto
yang ini itu pada juga dari akan anda kami hindi siya ang ng sa ay po ito ya wa ni kwa hilo zan kuma ba ka
ki yi iya mana mo ko shi mein hai ke kya kar yeh
"""
#: Other common words of those languages; names, titles and dishes have them too.
OTHER_NAMES: Final = frozenset(_OTHER_NAMES_TEXT.split())

_SORRY_TEXT = """
désolé désolée desculpe desculpa lamento entschuldigung leider spiacente helaas beklager tyvärr valitettavasti
anteeksi przepraszam omlouvám nevím sajnálom sajnos üzgünüm bilmiyorum maaf pasensya paumanhin samahani siwezi
sijui hakuri
"""
#: Words that refuse when they stand alone.
SORRY: Final = frozenset(_SORRY_TEXT.split())
