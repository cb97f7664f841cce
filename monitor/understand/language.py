"""Which language a text is written in: what the source declared, else its script, else its letters.

Routing to a model depends on it, so the answer errs on the safe side in two ways. A declared language is
believed unless the script flatly contradicts it. Without a declaration a text in Latin letters is taken for
English unless another language is clearly likelier, for financial headlines are short and full of names.

Texts in Latin, Cyrillic or Arabic letters are told apart by py3langid (naive Bayes over byte n-grams, Lui and
Baldwin 2012), restricted to the languages of the script; it is loaded when the first such text comes.
"""

from __future__ import annotations

import re
from copy import copy
from functools import lru_cache
from math import log
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

UNDETERMINED = "und"

_ISO_639_1 = (
    "aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el "
    "en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu "
    "ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na "
    "nd ne ng nl no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg sh si sk sl sm sn so sq "
    "sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu"
)
_CODES = frozenset(_ISO_639_1.split())
# Withdrawn codes, codes of ISO 639-2/3 and slips that feeds really send.
_SLIPS = (
    "in:id iw:he ji:yi mo:ro nb:no nn:no fil:tl cn:zh jp:ja cmn:zh yue:zh wuu:zh zho:zh chi:zh eng:en deu:de ger:de "
    "fra:fr fre:fr spa:es por:pt ita:it nld:nl dut:nl rus:ru jpn:ja kor:ko ara:ar hin:hi ind:id vie:vi tha:th tur:tr"
)
_SYNONYMS = dict(pair.split(":") for pair in _SLIPS.split())

# Letters by script. Han is listed for Chinese and, behind kana, for Japanese.
_SCRIPTS = {
    "Han": "\u2e80-\u2fdf\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff",
    "Kana": "\u3041-\u3096\u30a1-\u30fa\u31f0-\u31ff\uff66-\uff6f\uff71-\uff9d",
    "Hangul": "\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3",
    "Cyrillic": "\u0400-\u052f",
    "Arabic": "\u0620-\u064a\u066e-\u06d3\u0750-\u077f",
    "Hebrew": "\u05d0-\u05ea",
    "Greek": "\u0370-\u03ff\u1f00-\u1fff",
    "Thai": "\u0e01-\u0e30\u0e40-\u0e46",
    "Devanagari": "\u0904-\u0939\u0958-\u0961",
    "Bengali": "\u0985-\u09b9",
    "Tamil": "\u0b85-\u0bb9",
    "Telugu": "\u0c05-\u0c39",
    "Gujarati": "\u0a85-\u0ab9",
    "Kannada": "\u0c85-\u0cb9",
    "Malayalam": "\u0d05-\u0d3a",
    "Gurmukhi": "\u0a05-\u0a39",
    "Sinhala": "\u0d85-\u0dc6",
    "Khmer": "\u1780-\u17a2",
    "Lao": "\u0e81-\u0eae",
    "Burmese": "\u1000-\u102a",
    "Georgian": "\u10a0-\u10ff",
    "Armenian": "\u0531-\u0587",
    "Ethiopic": "\u1200-\u137f",
}
_LETTERS = {name: re.compile(f"[{letters}]") for name, letters in _SCRIPTS.items()}
# A Han character or Hangul syllable says about as much as two Latin letters.
_WEIGHT = {"Han": 2.0, "Hangul": 2.0, "Kana": 2.0}
_LATIN = re.compile(r"[A-Za-z\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff]+")

# The languages a script may stand for, the likeliest first.
_LANGUAGES = {
    "Han": ("zh", "ja", "ko"),
    "Kana": ("ja",),
    "Hangul": ("ko",),
    "Cyrillic": ("ru", "uk", "bg", "be", "sr", "mk", "kk", "ky", "mn", "tg", "tt", "ba"),
    "Arabic": ("ar", "fa", "ur", "ps", "ug"),
    "Hebrew": ("he", "yi"),
    "Greek": ("el",),
    "Thai": ("th",),
    "Devanagari": ("hi", "mr", "ne", "sa"),
    "Bengali": ("bn", "as"),
    "Tamil": ("ta",),
    "Telugu": ("te",),
    "Gujarati": ("gu",),
    "Kannada": ("kn",),
    "Malayalam": ("ml",),
    "Gurmukhi": ("pa",),
    "Sinhala": ("si",),
    "Khmer": ("km",),
    "Lao": ("lo",),
    "Burmese": ("my",),
    "Georgian": ("ka",),
    "Armenian": ("hy",),
    "Ethiopic": ("am", "ti"),
}
_NATIVE: dict[str, tuple[str, ...]] = {}
for _script, _members in _LANGUAGES.items():
    for _member in _members:
        _NATIVE[_member] = (*_NATIVE.get(_member, ()), _script)
# Languages of the table that are also written in Latin letters: Latin text does not contradict them.
_ALSO_LATIN = frozenset({"sr", "kk", "ky", "tt", "tg", "hi", "ur", "pa"})

# Of the languages in Latin letters, those a feed is likely to hold and those it may hold.
_USUAL = ("es", "pt", "fr", "de", "it", "nl", "sv", "da", "no", "fi", "pl", "cs", "hu", "ro", "tr", "id", "vi")
_RARER = ("ms", "tl", "sk", "hr", "sl", "ca", "gl", "et", "lv", "lt", "sq", "az", "sw", "af", "eu")
# By how much (difference of natural log probabilities, as py3langid scales them) another language must beat
# English. Chosen on finance tweets and headlines, see `detect`.
_MARGIN_USUAL = 1.0
_MARGIN_RARER = 3.0
_MARGIN_SHORT = 1.0
_SHORT = 20  # letters

# Frequent words of English that other languages of Latin script hardly use: each counts against them.
_TYPICAL = (
    "the of and to with from is are was has have says said after before over amid as its his their this that what why "
    "how will would should could more than new first year years week today shares stock stocks price prices sales "
    "market markets dividend declares earnings beats misses reports raises cuts buy sell buying selling higher lower "
    "up down deal growth jobs bank profit loss rating upgrade downgrade"
)
_ENGLISH = frozenset(_TYPICAL.split())

# The last starts at a word's beginning only: from each of its letters a long word would take its square of steps.
_NOISE = re.compile(r"https?://\S*|www\.\S+|&#?\w+;|[@$#]\w+|\bRT\b|\b\w*\d\w*")
_CAPITALS = re.compile(r"\b[A-Z]{1,6}\b")


def detect(text: str, declared: str | None) -> str:
    """The text's language as an ISO 639-1 code, or "und" when it has no letters to tell by.

    Args:
        text: the text as it came.
        declared: what the source said, such as `en`, `zh-CN`, `zh_Hans`; believed when it is a language code and
            the script does not contradict it (English in Han characters, Chinese without any).

    A text of nothing but links, handles and cashtags has no words to tell by, but a declaration still counts.
    """
    claimed = normalised(declared)
    if text.isascii():
        if not any(map(str.isalpha, text)):
            return UNDETERMINED
        if claimed and (claimed not in _NATIVE or claimed in _ALSO_LATIN):
            return claimed
        return _by_letters(text)
    counts = {name: found for name, letters in _LETTERS.items() if (found := len(letters.findall(text)))}
    latin = _LATIN.search(text) is not None
    if not counts and not latin:
        return UNDETERMINED
    if claimed and claimed in _NATIVE and any(script in counts for script in _NATIVE[claimed]):
        return claimed
    script = _dominant(text, counts)
    if script is None:
        return claimed if claimed and (claimed not in _NATIVE or claimed in _ALSO_LATIN) else _by_letters(text)
    languages = _LANGUAGES[script]
    if len(languages) == 1 or script == "Han":
        return languages[0]
    return _leader(_NOISE.sub(" ", text), languages[0], dict.fromkeys(languages[1:], _MARGIN_USUAL))


def normalised(declared: str | None) -> str | None:
    """A language tag as an ISO 639-1 code (`zh_Hans-CN` → `zh`), or None when it names no single language."""
    if not declared:
        return None
    primary = re.split(r"[-_.@]", declared.strip().lower(), maxsplit=1)[0]
    primary = _SYNONYMS.get(primary, primary)
    return primary if primary in _CODES else None


def _dominant(text: str, counts: dict[str, int]) -> str | None:
    """The script most of the text is in; None for Latin."""
    if not counts:
        return None
    if "Kana" in counts and counts["Kana"] >= 2:
        # Japanese mixes kana and Han; Chinese uses a lone の for show.
        share = counts["Kana"] / (counts["Kana"] + counts.get("Han", 0))
        if share >= 0.1:
            counts = {**counts, "Kana": counts["Kana"] + counts.get("Han", 0)}
    script = max(counts, key=lambda name: counts[name] * _WEIGHT.get(name, 1.0))
    # Names and tickers stand in Latin letters in every language: capitals count half or nothing.
    running = 0.0
    for word in _LATIN.findall(_NOISE.sub(" ", text)):
        running += len(word) if word.islower() else 0.0 if word.isupper() else len(word) / 2
    return script if counts[script] * _WEIGHT.get(script, 1.0) >= running else None


def _by_letters(text: str) -> str:
    """Tell the languages of Latin script apart; "und" when only links, tags and tickers are there."""
    words = " ".join(_NOISE.sub(" ", text).split())
    found = len(_LATIN.findall(words))
    shouted = sum(map(str.isupper, words)) * 2 > len(words)
    words = words.lower() if shouted else _CAPITALS.sub(" ", words)  # else bare tickers would look foreign
    letters = sum(map(len, _LATIN.findall(words)))
    if letters == 0:
        return "en" if found > 2 else UNDETERMINED
    short = _MARGIN_SHORT if letters < _SHORT else 0.0
    margins = {**dict.fromkeys(_USUAL, _MARGIN_USUAL + short), **dict.fromkeys(_RARER, _MARGIN_RARER + short)}
    evidence = len(_ENGLISH.intersection(words.lower().split()))
    return _leader(words, "en", margins, float(evidence))


def _leader(text: str, default: str, margins: dict[str, float], evidence: float = 0.0) -> str:
    """The likeliest language, unless it leads `default` by less than its margin and the evidence for `default`."""
    ranking = dict(_identifier((default, *margins)).rank(text))
    leads = {code: log(max(ranking.get(code, 0.0), 1e-30)) - margin for code, margin in margins.items()}
    best = max(leads, key=leads.__getitem__)
    return best if leads[best] > log(max(ranking[default], 1e-30)) + evidence else default


@lru_cache(maxsize=1)
def _model() -> LanguageIdentifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


@lru_cache(maxsize=8)
def _identifier(languages: tuple[str, ...]) -> LanguageIdentifier:
    identifier = copy(_model())  # shares the tables
    known = set(identifier.labels)
    identifier.set_languages([language for language in languages if language in known])
    return identifier
