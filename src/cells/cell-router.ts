/**
 * Finds the cell of an account among those that run. A cell that cannot be used at the moment is named in the
 * failure of the calls on its accounts, and concerns no others.
 */
import { Failure } from '../failure.ts';
import type { CellMap } from './cell-map.ts';
import { slotOf } from './slot.ts';
import { slotsOf } from './slot-ranges.ts';

export const cellUnavailable = (cell: string): Failure =>
  new Failure(
    'DATABASE_UNAVAILABLE',
    `cell ${cell} cannot be used at the moment; retry with the same request id`,
    { cell },
  );

/** Of calls on accounts that are about to be served by another cell. */
export const accountMoving = (cell: string): Failure =>
  new Failure(
    'DATABASE_UNAVAILABLE',
    `the account is being moved from cell ${cell} to another one; retry with the same request id`,
    { cell },
  );

/** Of reads of several cells. */
const accountsMoved = (): Failure =>
  new Failure('DATABASE_UNAVAILABLE', 'accounts were moved to another cell meanwhile; retry', {});

/** The failure of a call on an account of this cell. */
export const inCell = (failure: Failure, cell: string): Failure =>
  failure.reason === 'DATABASE_UNAVAILABLE' && !('cell' in failure.metadata)
    ? cellUnavailable(cell)
    : failure;

/** A cell, for those who look after the installation. */
export type CellState = {
  readonly name: string;
  /** Whether this replica can use its database at the moment. */
  readonly isReachable: boolean;
  /** How many of the slots it has. */
  readonly slots: number;
};

export class CellRouter<Cell> {
  readonly names: readonly string[];
  #map: CellMap;
  /** Slots whose calls are stopped, by the cell that they are being moved from. */
  readonly #stopped = new Map<string, ReadonlySet<number>>();
  #changing = new AbortController();
  readonly #running = new Map<string, Cell>();
  /** Of those that run. */
  readonly #unreachable = new Set<string>();
  /** What `reachable` answers: every call asks for it. */
  #reachable: readonly Cell[] = [];
  /** Where there is one cell, nothing has to be looked up. */
  #only: Cell | null = null;
  /** Whether accounts of the only cell are in others, which are not known here. */
  #isSpread = false;

  constructor(names: readonly string[], map: CellMap) {
    this.names = names;
    this.#map = map;
  }

  get isOne(): boolean {
    return this.names.length === 1;
  }

  get mapVersion(): number {
    return this.#map.version;
  }

  /** Whether slots have ever been moved, so that events of an account can be in several cells. */
  get hasMoved(): boolean {
    return this.#map.version > 1;
  }

  /** Aborts when accounts change their cell, or their calls are stopped. */
  get changing(): AbortSignal {
    return this.#changing.signal;
  }

  /** Routes by this map from now on, unless there is a newer one. */
  follow(map: CellMap) {
    if (map.version <= this.#map.version) return;
    this.#map = map;
    this.#changed();
  }

  /**
   * Calls on these slots fail as long as the map gives them to the cell; reads of all cells fail until the next call.
   * Empty: none fail.
   */
  stop(cell: string, slots: ReadonlySet<number>) {
    if (slots.size === 0 && !this.#stopped.has(cell)) return;
    if (slots.size === 0) this.#stopped.delete(cell);
    else this.#stopped.set(cell, slots);
    this.#changed();
  }

  #changed() {
    this.#changing.abort();
    this.#changing = new AbortController();
  }

  #isStopped(cell: string, slot: number): boolean {
    return this.#stopped.get(cell)?.has(slot) === true;
  }

  /** Throws where the cell does not serve the account any more. */
  assertServed(accountId: string, cell: string) {
    this.assertWhole();
    if (this.isOne) return;
    const slot = slotOf(accountId);
    if (this.#map.cells[slot] !== cell || this.#isStopped(cell, slot)) throw accountMoving(cell);
  }

  /** Throws where accounts have changed their cell since `changing` was read: what reads several cells may miss them. */
  assertUnchanged(changing: AbortSignal) {
    if (changing.aborted) throw accountsMoved();
  }

  /** The cell runs from now on. */
  add(name: string, cell: Cell) {
    this.#running.set(name, cell);
    if (this.isOne) this.#only = cell;
    this.#findReachable();
  }

  /** Whether the database of a cell answers. Of the only cell every call finds out by itself. */
  report(name: string, isReachable: boolean) {
    if (isReachable) this.#unreachable.delete(name);
    else this.#unreachable.add(name);
    this.#findReachable();
  }

  #findReachable() {
    this.#reachable = this.names.flatMap((name) =>
      this.#only || !this.#unreachable.has(name) ? (this.#running.get(name) ?? []) : [],
    );
  }

  /** Of the only cell: calls fail while accounts of it are in others, as nobody here knows which. */
  spread(isSpread: boolean) {
    this.#isSpread = isSpread;
    this.#changed();
  }

  /** Throws DATABASE_UNAVAILABLE while accounts are in cells that are not known here. */
  assertWhole() {
    if (this.#isSpread) throw cellUnavailable(this.names[0] as string);
  }

  /** The name of the account's cell. */
  nameOf(accountId: string): string {
    return this.isOne ? (this.names[0] as string) : (this.#map.cells[slotOf(accountId)] as string);
  }

  /** The account's cell. Throws DATABASE_UNAVAILABLE, which names it, while it cannot be used. */
  of(accountId: string): Cell {
    if (this.#only) return this.#only;
    const slot = slotOf(accountId);
    const name = this.#map.cells[slot] as string;
    if (this.#isStopped(name, slot)) throw accountMoving(name);
    return this.named(name);
  }

  named(name: string): Cell {
    if (this.#only) return this.#only;
    const cell = this.#unreachable.has(name) ? undefined : this.#running.get(name);
    if (cell === undefined) throw cellUnavailable(name);
    return cell;
  }

  /** Of what every cell has, such as the plans. Throws DATABASE_UNAVAILABLE while none can be used. */
  any(): Cell {
    return this.#only ?? this.#reachable[0] ?? this.named(this.names[0] as string);
  }

  /**
   * All cells, in the order of the configuration. Throws DATABASE_UNAVAILABLE, which names the first that is missing or that
   * accounts are leaving. Both cells have them between the commits of the two, which a crash can hold apart.
   */
  all(): readonly Cell[] {
    for (const name of this.#stopped.keys()) throw accountMoving(name);
    return this.names.map((name) => this.named(name));
  }

  /** The account's cell, or all of them where the account is empty. */
  allOf(accountId: string): readonly Cell[] {
    return accountId === '' ? this.all() : [this.of(accountId)];
  }

  /** Those that can be used at the moment. */
  reachable(): readonly Cell[] {
    return this.#reachable;
  }

  /** Every cell of the configuration, in its order. */
  states(): readonly CellState[] {
    return this.names.map((name) => ({
      name,
      isReachable: this.#running.has(name) && !this.#unreachable.has(name),
      slots: slotsOf(this.#map, name).length,
    }));
  }

  /** Those that were started, reachable or not. */
  get running(): readonly Cell[] {
    return [...this.#running.values()];
  }
}
