/** Subscribers of the demo: people of a mobile phone company, made from a seed, so that each run has the same audience. */

const FIRST_NAMES = [
  'Amara',
  'Anton',
  'Aylin',
  'Beatriz',
  'Chidi',
  'Chloé',
  'Daan',
  'Emilia',
  'Farid',
  'Freya',
  'Giulia',
  'Hana',
  'Igor',
  'Ines',
  'Jonas',
  'Jürgen',
  'Kenji',
  'Lena',
  'Léo',
  'Maja',
  'Mateo',
  'Nadia',
  'Noor',
  'Olga',
  'Paulo',
  'Quinn',
  'Rosa',
  'Søren',
  'Tomasz',
  'Yuki',
];
const LAST_NAMES = [
  'Almeida',
  'Bauer',
  'Celik',
  'Dubois',
  'Eriksen',
  'Fischer',
  'García',
  'Haddad',
  'Ivanova',
  'Jansen',
  'Kowalski',
  'Lund',
  'Moreau',
  'Novák',
  'Okafor',
  'Petrov',
  'Rossi',
  'Sato',
  'Şahin',
  'Tanaka',
  'Virtanen',
  'Weber',
];
const CITIES: readonly (readonly [city: string, country: string])[] = [
  ['Berlin', 'DE'],
  ['Hamburg', 'DE'],
  ['Lisboa', 'PT'],
  ['Lyon', 'FR'],
  ['Paris', 'FR'],
  ['Madrid', 'ES'],
  ['Milano', 'IT'],
  ['Oslo', 'NO'],
  ['Praha', 'CZ'],
  ['Utrecht', 'NL'],
  ['Warszawa', 'PL'],
  ['Zürich', 'CH'],
];
const CONTRACTS = ['Month-to-month', 'Month-to-month', 'One year', 'Two year'] as const;
const UNSUBSCRIBED_SHARE = 0.02;
const NAMELESS_SHARE = 0.01;

/** One demo subscriber as the bulk API and the CSV import know it. */
export interface DemoSubscriber {
  readonly id: string;
  readonly first_name: string;
  readonly last_name: string;
  readonly city: string;
  readonly country: string;
  readonly contract: string;
  readonly tenure_months: number;
  readonly monthly_charges: number;
  readonly unsubscribed: boolean;
}

/** The audience's CSV columns, in order. */
export const DEMO_COLUMNS = ['id', 'first_name', 'last_name', 'city', 'country', 'contract', 'tenure_months', 'monthly_charges'] as const;

/** `count` subscribers; the same seed gives the same people. About 1 % have no first name and 2 % have unsubscribed. */
export function* demoAudience(count: number, seed = 20_261_122): Generator<DemoSubscriber> {
  const random = seededRandom(seed);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  for (let number = 1; number <= count; number += 1) {
    const [city, country] = pick(CITIES);
    yield {
      id: `customer-${String(number).padStart(6, '0')}`,
      first_name: random() < NAMELESS_SHARE ? '' : pick(FIRST_NAMES),
      last_name: pick(LAST_NAMES),
      city,
      country,
      contract: pick(CONTRACTS),
      tenure_months: Math.floor(random() * 72),
      monthly_charges: Math.round((18 + random() * 100) * 100) / 100,
      unsubscribed: random() < UNSUBSCRIBED_SHARE,
    };
  }
}

/** The audience as CSV lines (RFC 4180), the header first. */
export function* demoAudienceCsv(subscribers: Iterable<DemoSubscriber>): Generator<string> {
  yield `${DEMO_COLUMNS.join(',')}\r\n`;
  for (const subscriber of subscribers) yield `${DEMO_COLUMNS.map((column) => subscriber[column]).join(',')}\r\n`;
}

/** mulberry32: 32 bits of state are plenty for a demo audience. Gives numbers in [0, 1). */
function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
