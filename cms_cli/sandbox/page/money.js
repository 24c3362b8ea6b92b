// Formats amounts. Minor units are exact (BigInt) until they are text.

// The number of decimals of each currency, by ISO 4217. Intl has those in common use: for IQD 0 and not 3, and an
// amount would look a thousand times too large.
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

/** Format minor units (text or number): "1,234.50 USD". Those of an unknown currency stay minor units. */
export function money(minor, currency) {
  return `${plainMoney(minor, currency)} ${nameOf(currency)}`;
}

/** Format minor units without the currency. */
export function plainMoney(minor, currency) {
  const amount = BigInt(minor);
  const digits = DIGITS.get(currency) ?? 0;
  if (digits === 0) return grouped.format(amount);
  const unit = 10n ** BigInt(digits);
  return `${grouped.format(amount / unit)}.${String(amount % unit).padStart(digits, "0")}`;
}

/** Return a currency's name; that of an unknown one says that its amounts are minor units. */
export function nameOf(currency) {
  return DIGITS.has(currency) ? currency : `${currency} (minor units)`;
}

/** Format minor units for an axis: "1.2K". */
export function compactMoney(minor, currency) {
  return short.format(minor / 10 ** (DIGITS.get(currency) ?? 0));
}

/** Return a currency's unit in minor units, so that an axis gets round numbers. */
export function unitOf(currency) {
  return 10 ** (DIGITS.get(currency) ?? 0);
}

/** Format a number: "1,234". */
export function count(number) {
  return grouped.format(number);
}

/** Format a number of things: "1 click", "2 clicks". */
export function counted(number, noun) {
  return `${grouped.format(number)} ${noun}${number === 1 ? "" : "s"}`;
}
