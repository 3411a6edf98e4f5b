/**
 * Where the mutations of an atomic Batch wait for each other. Each comes here the way that it takes alone. They go to
 * the lane together, or none does, because one was refused on its way.
 */
import { batchRefused, Failure } from '../../failure.ts';
import type { AtomicAnswer, Request, StoredResponse } from '../../lanes/task.ts';

type Answer = StoredResponse | Failure;
type Arrived = Request | Failure;
/** Given the requests in their order. Never rejects. */
type Decide = (requests: readonly Request[]) => Promise<AtomicAnswer>;

export class Gathering {
  readonly #places: readonly PromiseWithResolvers<Arrived>[];
  readonly #answers: Promise<readonly Answer[]>;

  /** `decide` is called once all of `count` mutations are here. */
  constructor(count: number, decide: Decide) {
    this.#places = Array.from({ length: count }, () => Promise.withResolvers<Arrived>());
    this.#answers = Promise.all(this.#places.map(({ promise }) => promise)).then((arrived) =>
      answer(arrived, decide),
    );
  }

  /** The place of the mutation at `index`, counted from 0. */
  at(index: number) {
    const place = this.#places[index] as PromiseWithResolvers<Arrived>;
    return {
      /** Resolves with the answer to the mutation; never rejects. */
      submit: async (request: Request): Promise<Answer> => {
        place.resolve(request);
        return (await this.#answers)[index] as Answer;
      },
      /** The mutation has failed. If it had not come here before, the others do not take effect. */
      refuse: (failure: Failure) => place.resolve(failure),
      /** Resolves once it is known whether the mutation comes here. */
      arrived: place.promise,
    };
  }
}

async function answer(arrived: readonly Arrived[], decide: Decide): Promise<readonly Answer[]> {
  const requests = arrived.filter((one): one is Request => !(one instanceof Failure));
  if (requests.length === arrived.length) return await decide(requests);
  const first = arrived.findIndex((one) => one instanceof Failure);
  const refusal = batchRefused(first, arrived[first] as Failure);
  return arrived.map(() => refusal);
}
