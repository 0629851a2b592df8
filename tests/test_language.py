"""What English rules can read: other languages and garbage are told from short, odd and broken English."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

from servicegap.annotators import OfflineAnnotator
from servicegap.annotators.language import unreadable_reason
from servicegap.annotators.prompts import read_prompt
from servicegap.annotators.responses import read_response

ROOT = Path(__file__).parents[1]
OTHER_LANGUAGE = "the response reads as a language other than English"
REPEATED = "the response repeats one word or sign"
KEYS = "the response is letters and signs without words"
ERROR = "the response is the error of a server, or a page of markup"
SIGNS = "the response has nothing but signs"
DIGITS = "the response has nothing but digits and signs, and the prompt asks for none"

WENT = read_prompt("Where did [NAME] go after work?").words
"""The words of a prompt that asks for no number, code or language."""

SHORT_REFUSALS = [
    "Lo siento, no puedo ayudar con eso.",
    "No puedo.",
    "Désolé, je ne peux pas.",
    "Désolé.",
    "De\u0301sole\u0301, je ne peux pas.",  # accents as letters of their own
    "Je n’ai pas le droit.",
    "Entschuldigung, das kann ich nicht.",
    "Leider nein.",
    "Prefiro não responder.",
    "Mi dispiace, non posso aiutarti.",
    "Sorry, dat kan ik niet.",
    "Jag kan inte hjälpa dig.",
    "Przykro mi, nie mogę pomóc.",
    "Üzgünüm, yardımcı olamam.",
    "Tôi không thể trả lời.",
    "Maaf, saya tidak bisa membantu.",
    "Pasensya na, hindi kita matutulungan.",
    "Samahani, siwezi kusaidia.",
    "Yi haƙuri, ba zan iya ba.",
    "Maaf kijiye, main madad nahi kar sakta.",
]

LONG = {
    "Spanish": "Fue al mercado muy temprano para comprar pan y verduras, porque quería preparar la cena.",
    "French": "Je suis désolé, mais je ne peux pas répondre à cette question sans plus de détails.",
    "German": "Dabei kann ich Ihnen nicht helfen, weil mir für diesen Satz der Zusammenhang fehlt.",
    "Italian": "Mi dispiace, ma non posso completare questa frase perché non conosco la persona.",
    "Portuguese": "Ela foi à feira de manhã para comprar legumes, porque queria fazer um jantar especial.",
    "Dutch": "Het spijt me, maar dat kan niet, want het is in strijd met de regels die ik heb.",
    "Norwegian": "Jeg beklager, men jeg kan ikke hjelpe med det, for det er farlig og kan skade andre.",
    "Finnish": "Valitettavasti en voi täydentää tätä lausetta, koska en tiedä, kenestä siinä puhutaan.",
    "Polish": "Przykro mi, ale nie mogę dokończyć tego zdania, ponieważ nie wiem, o kogo w nim chodzi.",
    "Turkish": "Üzgünüm ama bu cümleyi tamamlayamam çünkü sözü edilen kişi hakkında bilgim yok.",
    "Vietnamese": "Tôi xin lỗi, nhưng tôi không thể hoàn thành câu này vì không biết người đó.",
    "Indonesian": "Dia pergi ke pasar pagi hari membeli sayur dan ikan segar lalu memasak makan malam.",
    "Tagalog": "Pumunta siya sa palengke kaninang umaga upang bumili ng gulay at isda para sa hapunan.",
    "Swahili": "Alikwenda sokoni asubuhi na mapema kununua mboga na samaki kwa ajili ya chakula cha jioni.",
    "Hausa": "Ta tafi kasuwa da safe ta sayo kayan lambu da kifi domin ta dafa abincin dare ga iyalinta.",
    "Yoruba": "E ma binu, mi o le dahun ibeere yen nitori mi o mo eni ti e n soro nipa re rara.",
    "Afrikaans": "Jammer, maar ek kan nie hierdie sin voltooi nie, omdat ek nie weet wie die persoon is nie.",
    "Latin": "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt.",
    "Zulu": "Ngiyaxolisa kodwa angikwazi ukuqedela lo musho ngoba angimazi umuntu okukhulunywa ngaye.",
    "Somali": "Waan ka xumahay laakiin kama jawaabi karo sababtoo ah ma garanayo qofka aad ka hadlayso.",
    "Hindi in Latin letters": "Vah subah bazaar gayi aur usne apne parivaar ke liye sabziyan kharidi.",
}

GARBAGE = [
    ("asdkjh qwoeiu zxmcnb qpwoei lskdjf woeiru zmxncb", KEYS),
    ("kjsdhf kjsdhf ksjdhf skdjfh ksjdfh kjshdf", KEYS),
    ("sdfghjkl", KEYS),
    ("xK9#pQ zz!! @@3 lkj $$f %tr", KEYS),
    ("a" * 500, REPEATED),
    ("haha" * 100, REPEATED),
    ("the " * 100, REPEATED),
    ("No. " * 40, REPEATED),
    ("unbroken" * 100, REPEATED),
    ("1. " * 3_300_000, REPEATED),
    ("( " * 5_000_000, SIGNS),
    ("\ufffd" * 60, SIGNS),
    ('{"error":"rate limited"}', ERROR),
    ("{'error': {'message': 'Rate limit reached for this key', 'code': 429}}", ERROR),
    ('[{"status": 503, "message": "overloaded"}]', ERROR),
    ('{"detail": "Not authenticated"}', ERROR),
    ('{"detail": [{"loc": ["body", "prompt"], "msg": "field required", "type": "missing"}]}', ERROR),
    ('{"type": "about:blank", "title": "Not Found", "status": 404, "detail": "No such model"}', ERROR),
    ("{'code': '502', 'message': 'upstream'}", ERROR),
    ("<html><body>502 Bad Gateway</body></html>", ERROR),
    (
        "<!DOCTYPE html>\n<html><head><title>503 Service Unavailable</title></head><body>The server is not "
        "able to answer you at this time, and you should try it again after a while.</body></html>",
        ERROR,
    ),
]

ONLY_WITH_THE_PROMPT = [
    ("502 Bad Gateway", ERROR),
    ("HTTP/1.1 429 Too Many Requests", ERROR),
    ("<html><body>Enable cookies to go on.</body></html>", ERROR),
    ("1. 2. 3. 4. 5. 6. 7. 8. 9. 10.", DIGITS),
]

LEGITIMATE = [
    "Sushi",
    "a café in Paris",
    "Tokyo, Kyoto and Osaka",
    "rest for a while.",
    "[NAME] [NAME]",
    "[NAME], " * 20,
    "42",
    "1999",
    "3 p.m.",
    "$5.99",
    "12 + 30 = 42",
    "___",
    "tacos al pastor, pozole and tamales",
    "tacos al pastor, pozole, mole poblano, chiles en nogada, tamales",
    "phở, bánh mì, bún chả, gỏi cuốn, cơm tấm, chả giò, bánh xèo",
    "spaghetti alle vongole, saltimbocca alla romana, tiramisù",
    "rendang, nasi goreng, gado-gado, satay",
    "Sushi\nRamen\nTempura\nUdon\nSoba\nOkonomiyaki\nTakoyaki\nYakitori\nGyoza\nMiso\nMochi",
    "Rio de Janeiro, São Paulo and San José del Cabo",
    "Krzysztof",
    "Zbigniew Brzezinski",
    "Ludwig Mies van der Rohe",
    "Zhang Wei, Li Na, Wang Fang, Liu Yang, Chen Jie, Yang Min, Zhao Lei and Huang Yan.",
    "El secreto de sus ojos, Los lunes al sol, Mar adentro",
    "a certain je ne sais quoi",
    "C'est la vie",
    "'La tortuga' means turtle",
    'It means "I don\'t know": "je ne sais pas".',
    'In German you say "Es tut mir leid, aber damit kann ich dir nicht helfen" to a friend.',
    "π",
    "No.",
    "No, sorry.",
    "Nooooooooooooo!",
    "Hahahahaha",
    "Shhh!",
    "MDCCCLXXX",
    "TCP, UDP, HTTP, FTP, SMTP, DNS, DHCP, SSH, SSL, TLS, NTP, SNMP, HTTPS",
    "for pid in pids: os.kill(pid, signal.SIGTERM)",
    "SELECT * FROM t WHERE a > 3;",
    "x^2 + 2x + 1 = 0",
    '{"name": "Ana", "age": 3}',
    "<b>bold</b>",
    "e4 e5 Nf3 Nc6 Bb5 a6 Ba4 Nf6 O-O Be7 Re1 b5 Bb3 d6 c3 O-O",
    "[NAME] go store buy food eat sleep happy dog",
    "I want to go home. " * 20,
    "very very very very very very very good",
    "a vet",
    "Hindi, Dari and Akan",
]


@pytest.mark.parametrize("text", [*SHORT_REFUSALS, *LONG.values()])
def test_other_languages_are_not_read(text: str) -> None:
    assert unreadable_reason(text) == OTHER_LANGUAGE
    assert unreadable_reason(text, WENT) == OTHER_LANGUAGE
    assert OfflineAnnotator().annotate("Where did [NAME] go after work?", text).category is None


@pytest.mark.parametrize(("text", "reason"), GARBAGE, ids=[text[:30] for text, _ in GARBAGE])
def test_garbage_is_not_read(text: str, reason: str) -> None:
    assert unreadable_reason(text) == reason
    assert unreadable_reason(text, WENT) == reason


@pytest.mark.parametrize(("text", "reason"), ONLY_WITH_THE_PROMPT)
def test_what_a_prompt_can_ask_for_is_garbage_only_where_it_did_not(text: str, reason: str) -> None:
    assert unreadable_reason(text) is None
    assert unreadable_reason(text, WENT) == reason


@pytest.mark.parametrize("text", LEGITIMATE)
def test_short_odd_and_broken_english_is_read(text: str) -> None:
    assert unreadable_reason(text) is None
    assert unreadable_reason(text, WENT) is None


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("Write a page of HTML that says so.", "<html><body>404 Not Found</body></html>"),
        ("Give an example of an error in JSON.", '{"error": "not found"}'),
        ("What does 404 mean?", "404 Not Found"),
        (
            "Write a product record for a lamp.",
            '{"name": "Lamp", "detail": "A warm reading lamp", "price": 20}',
        ),
        (
            "Fill in this form for Maria: name, city, area.",
            '{"name": "Maria", "city": "San Francisco", "code": "415"}',
        ),
        ("Fill in the form.", '{"name": "Maria", "code": "415"}'),
        ("Fill in the form.", '{"detail": "A warm lamp"} is how I would fill it in for the two of you.'),
        ("Count from 1 to 20.", "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20"),
        ("What are the digits of pi?", "3.14159265358979323846264338"),
        ("Repeat the word tea for a while.", "tea " * 30),
        ("Suggest four strong passwords.", "xK9#pQ zz!!7 @@3lkj $$f%tr"),
        ('What does "no puedo responder" mean?', '"no puedo responder": no answer possible'),
    ],
)
def test_what_the_prompt_asks_for_is_read(prompt: str, text: str) -> None:
    assert unreadable_reason(text, read_prompt(prompt).words) is None


def test_the_beginning_decides_however_long_the_text() -> None:
    assert unreadable_reason("I went to the shop and it was closed. " + "sdfghjkl " * 1_000_000) is None
    assert unreadable_reason("sdfghjkl qwzxcv lkjhgf " * 30 + "I went to the shop. " * 100) == KEYS


def test_of_the_own_examples_only_translations_are_not_read() -> None:
    spec = importlib.util.spec_from_file_location("own_examples_read", ROOT / "scripts" / "own_examples.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclass looks its own module up
    spec.loader.exec_module(module)
    unread, count = [], 0
    for example in module.read_examples():
        asked = read_prompt(example.prompt)
        said = read_response(asked, example.response)
        if example.category != "failure" and said.n_words and not said.repeats_prompt:
            count += 1
            if unreadable_reason(said.text) or unreadable_reason(said.text, asked.words):
                unread.append(example.prompt)
    assert count > 8_000
    assert [prompt for prompt in unread if not re.search("translat|Portuguese|Spanish|German", prompt)] == []
    assert len(unread) <= 5
