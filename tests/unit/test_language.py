"""Language detection: declarations, scripts, and the languages of Latin script."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.understand.language import detect, normalised


@pytest.mark.parametrize(
    ("tag", "code"),
    [
        ("zh-CN", "zh"),
        ("zh_Hans", "zh"),
        ("en-US", "en"),
        ("EN", "en"),
        ("in", "id"),
        ("eng", "en"),
        ("cmn", "zh"),
        ("und", None),
        ("english", None),
        ("xx", None),
        ("", None),
        (None, None),
    ],
)
def test_declared_tags_become_iso_codes(tag: str | None, code: str | None) -> None:
    assert normalised(tag) == code


def test_a_declared_language_is_believed_unless_the_script_contradicts_it() -> None:
    assert detect("Umsatz steigt kräftig", "de-DE") == "de"
    assert detect("Profit up", "fr") == "fr"
    assert detect("沧澜电池收涨4.1%，龙头带动下板块成交放大", "en") == "zh"
    assert detect("Halvern Bank cuts overdraft fees for students", "zh") == "en"
    assert detect("日銀、政策金利据置", "ja") == "ja"
    assert detect("Apple 发布新品", "zh") == "zh"
    assert detect("Halvern Bank cuts its overdraft fees", "nonsense") == "en"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("三大指数小幅收红，半导体翻绿", "zh"),
        ("騰訊業績勝預期", "zh"),
        ("日経平均は続落、半導体株に売り", "ja"),
        ("삼성전자 주가 하락", "ko"),
        ("Акции банка упали на пять процентов после отчёта", "ru"),
        ("أسهم البنك تراجعت بعد إعلان النتائج", "ar"),
        ("ตลาดหุ้นไทยปิดลบ", "th"),
        ("Οι μετοχές έπεσαν", "el"),
        ("מניות הבנק ירדו", "he"),
        ("AAPL 财报超预期", "zh"),
        ("iPhone 16 大卖", "zh"),
        ("Alibaba (阿里巴巴) jumps in Hong Kong", "en"),
        ("鲜の每日新品上市，股价大涨", "zh"),
    ],
)
def test_scripts_tell_the_language(text: str, code: str) -> None:
    assert detect(text, None) == code


@pytest.mark.parametrize(
    "text",
    [
        "Equinor declares $0.27 dividend",
        "Central Bank of India Q3 net dips 13%",
        "Exit Idea immediately: Rajat Bose",
        "$FB Stifel Nicolaus, Deutsche Bank and Merrill Lynch reiterated a BUY",
        "VASTOK: FIRST GAS AT TARN DEEP, TWO WEEKS EARLY",
        "the queue at my halvern branch could qualify as a festival",
        "Vastok begins gas flow at Tarn Deep field",
        "$AAPL looking weak 📉 https://t.co/a1 @someone",
    ],
)
def test_short_english_headlines_stay_english(text: str) -> None:
    assert detect(text, None) == "en"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Las acciones del banco cayeron tras los resultados del trimestre", "es"),
        ("$AAPL en máximos, llegando a la resistencia de 585", "es"),
        ("Die Aktie verliert nach den Zahlen deutlich an Wert", "de"),
        ("Les actions de la banque chutent après les résultats", "fr"),
        ("Saham bank itu turun tajam setelah laporan keuangan keluar", "id"),
        ("As ações do banco caíram depois dos resultados", "pt"),
        ("Banka hisseleri sonuçların ardından sert düştü", "tr"),
        ("EL BANCO CIERRA EL AÑO CON PÉRDIDAS MUY ALTAS", "es"),
    ],
)
def test_other_latin_languages_are_not_called_english(text: str, code: str) -> None:
    assert detect(text, None) == code


@pytest.mark.parametrize("text", ["", "   ", "12,345.67 +3.2%", "📉📉📉", "—…!!"])
def test_texts_without_letters_are_undetermined(text: str) -> None:
    assert detect(text, None) == "und"
    assert detect(text, "en") == "und"


def test_a_text_of_tags_and_links_is_undetermined_unless_declared() -> None:
    assert detect("$SPY $QQQ https://t.co/abc @desk", None) == "und"
    assert detect("$SPY $QQQ https://t.co/abc @desk", "en") == "en"


@given(st.text(max_size=200), st.one_of(st.none(), st.text(max_size=8)))
def test_any_text_gets_a_code(text: str, declared: str | None) -> None:
    code = detect(text, declared)
    assert code == "und" or (len(code) == 2 and code.isascii() and code.islower())


def test_the_identifier_is_loaded_only_when_letters_must_tell() -> None:
    program = (
        "import sys; from monitor.understand.language import detect; "
        "detect('收盘：三大指数小幅收红', None); detect('Profit up', 'en'); "
        "assert 'py3langid' not in sys.modules; "
        "detect('Profit up at the bank', None); assert 'py3langid' in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0
