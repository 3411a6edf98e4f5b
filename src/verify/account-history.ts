/**
 * What the entries without moves say of an account: when it was opened and closed, its settings, and the packs
 * that are offered to it. Compares the rows with the last of each.
 */
import { canonicalJson } from '../canonical.ts';
import type { Account, ShadowMode, Suspension } from '../ledger/account.ts';
import type { CustomPack } from '../ledger/custom-pack.ts';
import type { EntryKind, Labels, StoredEntry } from '../ledger/entry.ts';
import type { ZoneChange } from '../ledger/periods/period.ts';
import { readCount } from './erasure.ts';
import type { Report } from './findings.ts';
import { instant } from './instant.ts';
import { toNano } from './statement-price.ts';

/** What the caller of a closed account is refused. */
const NEEDS_OPEN: ReadonlySet<EntryKind> = new Set([
  'UPDATE_ACCOUNT',
  'UPDATE_GRANT',
  'SUSPEND_ACCOUNT',
  'SET_BUDGET',
  'PLAN_CHANGE',
  'OFFER_PACK',
  'CHECKOUT',
  'RESERVE',
  'RAISE',
  'CHARGE',
]);

/** What a suspended account is refused, and what more where running work stops. */
const NEW_WORK: ReadonlySet<EntryKind> = new Set(['RESERVE', 'RAISE', 'CHARGE']);
const RUNNING_WORK: ReadonlySet<EntryKind> = new Set(['COMMIT', 'EXTEND']);

/** Without a reason: that is erased. */
type SaidSuspension = Omit<Suspension, 'reason'> & { readonly reason: string | null };

type OfferedPack = {
  readonly terms: Labels;
  readonly offeredAt: number;
  readonly offeredBy: string;
  readonly withdrawnAt: number | null;
};

export class AccountHistory {
  #openedAt: number | null = null;
  #closedAt: number | null = null;
  /** Null: erased, and not set again since. */
  #displayName: string | null = '';
  #labels: Labels | null = {};
  /** The account's own settings, as details spell them. */
  readonly #settings = new Map([
    ['low_balance_levels', 'plan'],
    ['pause_floor', 'plan'],
  ]);
  /** The zones that entries give it, each with the time of its entry. */
  readonly #timeZones: ZoneChange[] = [];
  /** As personal data spell it. Null: erased, and not set again since. */
  #autoTopUp: string | null = 'off';
  /** When it was set. Null: never, or not known. */
  #autoTopUpAt: number | null = null;
  #suspension: SaidSuspension | null = null;
  #shadow: ShadowMode | null = null;
  readonly #packs = new Map<string, OfferedPack>();

  /** Checks the account's next entry. */
  apply(entry: StoredEntry, report: Report) {
    const { seq, kind, at } = entry;
    if ((seq === 1n) !== (kind === 'OPEN_ACCOUNT'))
      report(seq === 1n ? `is the first entry, and a ${kind}` : 'opens the account again');
    const endsShadowMode = entry.details['shadow_mode'] === 'off';
    if (this.#closedAt !== null && NEEDS_OPEN.has(kind) && !endsShadowMode)
      report(`is a ${kind} of an account that was closed at ${instant(this.#closedAt)}`);
    this.#checkSuspended(kind, report);
    if (kind === 'OPEN_ACCOUNT') this.#open(entry);
    else if (kind === 'UPDATE_ACCOUNT') this.#update(entry, report);
    else if (kind === 'CLOSE_ACCOUNT') {
      if (this.#closedAt !== null) report('closes the account again');
      this.#closedAt = at;
    } else if (kind === 'ERASE_ACCOUNT_DATA') this.#erase(entry, report);
    else if (kind === 'SUSPEND_ACCOUNT') this.#suspend(entry, report);
    else if (kind === 'RESUME_ACCOUNT') this.#resume(report);
    else if (kind === 'OFFER_PACK') this.#offer(entry);
    else if (kind === 'WITHDRAW_PACK') this.#withdraw(entry, report);
  }

  /** Compares the account's row, and those of its packs. */
  finish(account: Account, packs: readonly CustomPack[], report: Report) {
    const compare = (name: string, stated: unknown, said: unknown) => {
      if (stated !== said) report(`${name} is ${stated}, the entries say ${said}`);
    };
    const instantOf = (at: number | null) => (at === null ? 'never' : instant(at));
    compare('opened_at', instant(account.openedAt), instantOf(this.#openedAt));
    compare('closed_at', instantOf(account.closedAt), instantOf(this.#closedAt));
    compare('state', account.state, this.#closedAt === null ? 'OPEN' : 'CLOSED');
    if (this.#displayName !== null) compare('display_name', account.displayName, this.#displayName);
    if (this.#labels !== null)
      compare('labels', canonicalJson(account.labels), canonicalJson(this.#labels));
    const { lowBalanceLevels, pauseFloor, autoTopUp } = account;
    const levels = lowBalanceLevels?.map((level) =>
      'credits' in level ? `${level.credits}` : `${level.percent}%`,
    );
    compare(
      'low_balance_levels',
      levels?.join(',') ?? 'plan',
      this.#settings.get('low_balance_levels'),
    );
    compare(
      'time_zones',
      account.timeZones === null ? 'UTC' : canonicalJson(account.timeZones),
      this.#timeZones.length === 0 ? 'UTC' : canonicalJson(this.#timeZones),
    );
    compare('pause_floor', pauseFloor?.toString() ?? 'plan', this.#settings.get('pause_floor'));
    // The service switches it off by itself, and says so in an event.
    if (autoTopUp && this.#autoTopUp !== null)
      compare('auto_top_up', canonicalJson(autoTopUp), this.#autoTopUp);
    this.#compareSuspension(account, compare);
    compare('shadow', canonicalJson(account.shadow), canonicalJson(this.#shadow));
    this.#checkPacks(packs, report);
  }

  /** When the owner set auto top-up last; null where it is off. The service may have switched it off since. */
  get topUpsSince(): number | null {
    return this.#autoTopUp === 'off' ? null : this.#autoTopUpAt;
  }

  #checkSuspended(kind: EntryKind, report: Report) {
    const running = this.#suspension?.running;
    if (running && (NEW_WORK.has(kind) || (running === 'STOP' && RUNNING_WORK.has(kind))))
      report(`is a ${kind} of an account that is suspended`);
  }

  #suspend({ at, caller, details, personal, erasedHash }: StoredEntry, report: Report) {
    const { running } = details;
    if (running !== 'CONTINUE' && running !== 'STOP') return report(`has running ${running}`);
    if (this.#suspension?.running === running) report('suspends the account again');
    const since = this.#suspension?.since ?? at;
    const reason = erasedHash === null ? (personal['reason'] ?? '') : null;
    this.#suspension = { since, caller, running, reason };
  }

  #setShadowMode({ at, caller }: StoredEntry, mode: string, report: Report) {
    const isOn = this.#shadow?.until === null;
    if (mode !== (isOn ? 'off' : 'on')) return report(`sets shadow mode ${mode}`);
    const before = this.#shadow?.since ?? null;
    // No two begin at the same instant.
    const began = before === null ? at : Math.max(at, before + 1);
    this.#shadow = isOn
      ? { since: before ?? at, until: Math.max(at, before ?? at), caller }
      : { since: began, until: null, caller };
  }

  #resume(report: Report) {
    if (!this.#suspension) report('resumes an account that is not suspended');
    this.#suspension = null;
  }

  #compareSuspension(
    { suspension }: Account,
    compare: (name: string, stated: unknown, said: unknown) => void,
  ) {
    const said = this.#suspension;
    // Of an erased entry only the rest is known.
    const textOf = (of: SaidSuspension | null) =>
      of === null
        ? 'none'
        : canonicalJson({ ...of, reason: said?.reason === null ? '' : of.reason });
    compare('suspension', textOf(suspension), textOf(said));
  }

  #open(entry: StoredEntry) {
    const { opened_at: openedAt, time_zone: zone } = entry.details;
    this.#openedAt = openedAt === undefined ? entry.at : Date.parse(openedAt);
    if (zone !== undefined) this.#timeZones.push({ zone, at: this.#openedAt });
    const isErased = entry.erasedHash !== null;
    this.#displayName = isErased ? null : (entry.personal['display_name'] ?? '');
    this.#labels = isErased ? null : entry.labels;
  }

  #update(entry: StoredEntry, report: Report) {
    const { at, details, personal, labels, erasedHash } = entry;
    const isErased = erasedHash !== null;
    const { labels: labelCount, shadow_mode: shadowMode, time_zone: zone, ...settings } = details;
    if (shadowMode !== undefined) this.#setShadowMode(entry, shadowMode, report);
    if (zone !== undefined) this.#changeZone(zone, at);
    for (const [name, value] of Object.entries(settings)) this.#settings.set(name, value);
    // An erased entry does not say whether it named the account, or set its auto top-up.
    this.#displayName = isErased ? null : (personal['display_name'] ?? this.#displayName);
    this.#autoTopUp = isErased ? null : (personal['auto_top_up'] ?? this.#autoTopUp);
    if (isErased) this.#autoTopUpAt = null;
    else if (personal['auto_top_up'] !== undefined) this.#autoTopUpAt = at;
    if (labelCount !== undefined) this.#labels = isErased ? null : labels;
    const count = Object.keys(labels).length;
    if (!isErased && count.toString() !== (labelCount ?? '0'))
      report(`its details say ${labelCount ?? 'nothing'} of its ${count} labels`);
  }

  #changeZone(zone: string, at: number) {
    if (this.#timeZones.length === 0)
      this.#timeZones.push({ zone: 'UTC', at: this.#openedAt ?? 0 });
    this.#timeZones.push({ zone, at });
  }

  #erase({ details }: StoredEntry, report: Report) {
    if (this.#closedAt === null) report('erases the data of an open account');
    if (readCount(details['events']) === 0 && details['events'] !== '0')
      report('does not say which events it erases');
    this.#displayName = '';
    this.#labels = {};
    this.#autoTopUp = 'off';
    if (this.#suspension) this.#suspension = { ...this.#suspension, reason: '' };
  }

  #offer({ details, at, caller }: StoredEntry) {
    const { pack_id: packId = '', ...terms } = details;
    this.#packs.set(packId, { terms, offeredAt: at, offeredBy: caller, withdrawnAt: null });
  }

  #withdraw({ details, at }: StoredEntry, report: Report) {
    const packId = details['pack_id'] ?? '';
    const pack = this.#packs.get(packId);
    if (pack?.withdrawnAt !== null) return report(`pack ${packId} was not on offer`);
    this.#packs.set(packId, { ...pack, withdrawnAt: at });
  }

  #checkPacks(packs: readonly CustomPack[], report: Report) {
    const stored = new Map(packs.map((pack) => [pack.packId, pack]));
    for (const packId of new Set([...stored.keys(), ...this.#packs.keys()])) {
      const stated = stored.get(packId);
      const said = this.#packs.get(packId);
      const [row, entries] = [stated && textOfRow(stated), said && textOfEntries(said)];
      if (row !== entries) report(`pack ${packId} is ${row}, the entries say ${entries}`);
    }
  }
}

const textOfRow = ({ title, credits, price, validity, ...pack }: CustomPack): string => {
  const length =
    validity === null
      ? 'never'
      : 'months' in validity
        ? `${validity.months} months`
        : `${validity.days} days`;
  const terms = { title, credits: `${credits}`, ...price, validity: length };
  return textOf({ ...pack, terms });
};

const textOfEntries = (pack: OfferedPack): string => textOf(pack);

function textOf({ terms, offeredAt, offeredBy, withdrawnAt }: OfferedPack): string {
  const amount = toNano(terms['amount'] ?? '')?.toString() ?? 'no amount';
  const withdrawn = withdrawnAt === null ? null : instant(withdrawnAt);
  return canonicalJson({ ...terms, amount, offeredAt: instant(offeredAt), offeredBy, withdrawn });
}
