"""The number of decimals of each currency, and the signs of currencies.

The decimals ("exponents") are those of ISO 4217, list one, as published by its maintenance agency (SIX Group) on
2026-01-01; a test compares them with the ``iso4217`` package. Codes with "N.A." in the list (gold, bond units, test
codes) have no minor unit and are left out. Codes that were withdrawn are kept with their last exponent, since older
exports contain them.
"""

from __future__ import annotations

_LIST_ONE = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: """
        AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF
        CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL
        HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU
        MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR
        SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED
        VES WST XAD XCD XCG YER ZAR ZMW ZWG
    """,
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
# Withdrawn between 2015 and 2026. List three has no exponents; these are from the last list one that had the code.
_WITHDRAWN = {
    0: "BYR",
    2: "ANG BGN CUC HRK LTL MRO SLL STD VEF ZWL",
}

ACTIVE: dict[str, int] = {code: digits for digits, codes in _LIST_ONE.items() for code in codes.split()}
EXPONENTS: dict[str, int] = {
    **{code: digits for digits, codes in _WITHDRAWN.items() for code in codes.split()},
    **ACTIVE,
}

_DOLLARS = "USD AUD BBD BMD BND BSD BZD CAD FJD GYD HKD JMD KYD LRD NAD NZD SBD SGD SRD TTD TWD XCD"
_PESOS = "ARS CLP COP CUP CUC DOP MXN PHP UYU"
# The currencies that use each sign, which is in lower case. A sign of several currencies fits all of them, and
# identifies none.
_SIGNS = {
    "$": f"{_DOLLARS} {_PESOS} BRL NIO CVE TOP WST MOP",
    "us$": "USD",
    "u$s": "USD",
    "a$": "AUD",
    "au$": "AUD",
    "c$": "CAD NIO",
    "ca$": "CAD",
    "can$": "CAD",
    "hk$": "HKD",
    "mx$": "MXN",
    "nt$": "TWD",
    "nz$": "NZD",
    "r$": "BRL",
    "s$": "SGD",
    "€": "EUR",
    "euro": "EUR",
    "£": "GBP EGP FKP GIP LBP SDG SHP SSP SYP",
    "¥": "JPY CNY",
    "￥": "JPY CNY",
    "円": "JPY",
    "元": "CNY TWD HKD",
    "₩": "KRW KPW",
    "₹": "INR",
    "rs": "INR PKR LKR NPR MUR SCR",
    "rs.": "INR PKR LKR NPR MUR SCR",
    "kr": "SEK NOK DKK ISK",
    "kr.": "SEK NOK DKK ISK",
    "fr": "CHF XOF XAF XPF",
    "fr.": "CHF XOF XAF XPF",
    "sfr": "CHF",
    "sfr.": "CHF",
    "fcfa": "XOF XAF",
    "zł": "PLN",
    "kč": "CZK",
    "ft": "HUF",
    "lei": "RON MDL",
    "лв": "BGN KGS",
    "лв.": "BGN KGS",
    "₽": "RUB",
    "руб": "RUB BYN",  # noqa: RUF001 - Cyrillic, as it is written
    "руб.": "RUB BYN",  # noqa: RUF001 - Cyrillic, as it is written
    "₴": "UAH",
    "грн": "UAH",
    "грн.": "UAH",
    "₺": "TRY",
    "tl": "TRY",
    "₪": "ILS",
    "฿": "THB",
    "₫": "VND",
    "đ": "VND",
    "₱": "PHP CUP",
    "₦": "NGN",
    "₵": "GHS",
    "₡": "CRC SVC",
    "₸": "KZT",
    "₼": "AZN",
    "₾": "GEL",
    "₲": "PYG",
    "₭": "LAK",
    "₮": "MNT",
    "৳": "BDT",
    "r": "ZAR",
    "rm": "MYR",
    "rp": "IDR",
    "rp.": "IDR",
    "s/": "PEN",
    "s/.": "PEN",
    "ksh": "KES",
    "kd": "KWD",
    "bd": "BHD",
    "dh": "AED MAD",
    "dhs": "AED MAD",
}
_BY_SIGN = {sign: frozenset(codes.split()) for sign, codes in _SIGNS.items()}


def exponent(currency: str) -> int | None:
    """Return the number of decimals of a currency's minor unit.

    Args:
        currency: An ISO 4217 code, in upper or lower case.

    Returns:
        0 to 4, or None for an unknown code or one without a minor unit (``XAU``).
    """
    found = EXPONENTS.get(currency)
    return EXPONENTS.get(currency.upper()) if found is None else found


def currencies_of(mark: str) -> frozenset[str]:
    """Return the currencies that the text beside a number may mean; an empty set if it is neither sign nor code."""
    found = _BY_SIGN.get(mark.lower())
    if found is None:
        code = mark.upper()
        found = frozenset((code,)) if code in EXPONENTS else frozenset()
    return found
