/** The options of commands that charge or reserve for a job, and what they mean in its request. */
import type { Command } from 'commander';
import { Criticality } from '../gen/billing/v1/ledger.ts';
import { instantOption, label, version } from './options.ts';

/** By what the caller finds the job again. */
export type ReferenceOptions = {
  readonly reference: string;
  readonly label: ReadonlyMap<string, string>;
};

export const referenceOptions = (command: Command): Command =>
  command
    .option('--reference <text>', "the caller's own name for the job", '')
    .option('--label <name=value>', "the caller's own; can be repeated", label, new Map());

export const referenceFields = ({ reference, label: labels }: ReferenceOptions) => ({
  reference,
  labels: new Map(labels),
});

export type JobOptions = ReferenceOptions & {
  readonly rateCardVersion?: bigint;
  readonly usedAt?: Date;
  readonly sheddable: boolean;
};

export const rateCardOption = (command: Command): Command =>
  command.option('--rate-card-version <number>', 'default: the one in force', version);

export const jobOptions = (command: Command): Command =>
  referenceOptions(rateCardOption(command))
    .option(
      '--used-at <instant>',
      'when the work was done, in UTC, where the plan takes late usage; default: now',
      instantOption,
    )
    .option('--sheddable', 'it may be refused below the pause floor of the account', false);

export const jobFields = ({ rateCardVersion, usedAt, sheddable, ...options }: JobOptions) => ({
  ...referenceFields(options),
  rateCardVersion,
  ...(usedAt && { usedAt }),
  criticality: sheddable ? Criticality.SHEDDABLE : Criticality.UNSPECIFIED,
});
