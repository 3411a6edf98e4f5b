/** What is wrong with an answer or a refusal, given what the model says. */
import { differences } from './compare.ts';
import { Refusal } from './model/refusal.ts';
import type { Attempt, Read } from './observations.ts';

export function attemptTo<Result>(work: () => Result): Result | Error {
  try {
    return work();
  } catch (error) {
    return error as Error;
  }
}

export function answerProblem(answer: object, expected: object | Refusal | Error): string {
  if (expected instanceof Error) return `the model says: ${expected.message}`;
  if (expected instanceof Refusal) return `must be refused with ${expected.reason}`;
  return differences(answer, expected);
}

export function outcomeProblem(
  outcome: Attempt['outcome'] | Read['outcome'],
  expected: object | Refusal | Error,
): string {
  if (outcome.kind === 'answer')
    return answerProblem({ ...outcome.answer, replay: undefined }, expected);
  if (expected instanceof Error) return `the model says: ${expected.message}`;
  if (outcome.kind === 'unknown') return '';
  if (!(expected instanceof Refusal)) return `was refused with ${outcome.reason}, must be accepted`;
  if (expected.reason !== outcome.reason)
    return `was refused with ${outcome.reason}, must be ${expected.reason}`;
  for (const [name, value] of Object.entries(expected.metadata))
    if (outcome.metadata[name] !== value)
      return `${name} is ${outcome.metadata[name]}, must be ${value}`;
  return '';
}
