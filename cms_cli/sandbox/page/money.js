// Amounts as people write them. Minor units are exact (BigInt) until they are text.

// How many decimals the minor unit of a currency is worth, by ISO 4217. Not what Intl says, which is how many of them
// are usual in a place: for IQD that is 0 and not 3, and an amount would look a thousand times too large.
const DECIMALS = {
  0: "BIF BYR CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
  2: `
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF
    CHE CHF CHW CNY COP COU CRC CUC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ
    GYD HKD HNL HRK HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL LTL MAD MDL MGA
    MKD MMK MNT MOP MRO MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR
    RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SLL SOS SRD SSP STD STN SVC SYP SZL THB TJS TMT TOP TRY TTD
    TWD TZS UAH USD USN UYU UZS VED VEF VES WST XAD XCD XCG YER ZAR ZMW ZWG ZWL`,
  3: "BHD IQD JOD KWD LYD OMR TND",
  4: "CLF UYW",
};
const DIGITS = new Map(Object.entries(DECIMALS).flatMap(([digits, codes]) => codes.trim().split(/\s+/).map((code) => [code, Number(digits)])));

const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** "1,234.50 USD" from minor units (text or number); minor units as they are where the currency is not known. */
export function money(minor, currency) {
  return `${plainMoney(minor, currency)} ${nameOf(currency)}`;
}

/** The same without the currency. */
export function plainMoney(minor, currency) {
  const amount = BigInt(minor);
  const digits = DIGITS.get(currency) ?? 0;
  if (digits === 0) return grouped.format(amount);
  const unit = 10n ** BigInt(digits);
  return `${grouped.format(amount / unit)}.${String(amount % unit).padStart(digits, "0")}`;
}

/** A currency, and that its amounts are in minor units where it is not known how many make a whole one. */
export function nameOf(currency) {
  return DIGITS.has(currency) ? currency : `${currency} (minor units)`;
}

/** The same, short enough for an axis: "1.2K". */
export function roughly(minor, currency) {
  return short.format(minor / 10 ** (DIGITS.get(currency) ?? 0));
}

/** The size of a currency's unit in minor units, so that an axis gets round numbers. */
export function unitOf(currency) {
  return 10 ** (DIGITS.get(currency) ?? 0);
}

/** "1,234". */
export function count(number) {
  return grouped.format(number);
}

/** "1 click", "2 clicks". */
export function counted(number, noun) {
  return `${grouped.format(number)} ${noun}${number === 1 ? "" : "s"}`;
}
