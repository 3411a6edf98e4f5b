/**
 * The mixed load: the operations of the three tenants of deploy/plans, most of them reads and charges.
 * A reserve is one operation; its commit or release is another.
 */
import { type Calls, paths } from './calls.ts';
import { accounts } from './ledger.ts';
import type { Done, Source } from './load.ts';
import { type Accounts, accountId } from './load-spec.ts';
import {
  balanceRequest,
  chargeRequest,
  commitRequest,
  estimateRequest,
  historyRequest,
  purchaseRequest,
  releaseRequest,
  reservationIdOf,
  reserveRequest,
  type Template,
  usage,
} from './requests.ts';

type Job = (done: Done) => void;

/** 30 % of the jobs are two operations: a reservation and its end. */
export const OPERATIONS_PER_JOB = 1.3;

export function mixed(calls: Calls): Source['start'] {
  const jobs = weighted(jobsOf(calls));
  return (done) => {
    const job = jobs[Math.floor(Math.random() * jobs.length)] as Job;
    job(done);
    return true;
  };
}

/** The jobs with their shares in percent. */
function jobsOf(calls: Calls): readonly (readonly [share: number, job: Job])[] {
  const { aspose, parser, spread: verts } = accounts;
  const one = (path: string, request: Template, of: Accounts) => single(calls, path, request, of);
  const pages = (count: bigint) => usage('extraction.result_per_file', { pages: count });
  const upscale = usage('image.upscale', { scale_factor: 4n });
  const convert = usage('file.convert', {}, { output_format: 'pdf' });
  return [
    [16, one(paths.charge, chargeRequest(usage('document.convert')), aspose)],
    [4, one(paths.estimate, estimateRequest(usage('document.create')), aspose)],
    [6, one(paths.getBalance, balanceRequest(), aspose)],

    [10, one(paths.estimate, estimateRequest(pages(12n)), parser)],
    [
      12,
      reserveAndEnd(
        calls,
        reserveRequest(pages(12n)),
        paths.commit,
        commitRequest(pages(9n)),
        parser,
      ),
    ],
    [6, one(paths.getBalance, balanceRequest(), parser)],
    [1, one(paths.purchase, purchaseRequest('starter'), parser)],

    [10, one(paths.charge, chargeRequest(usage('file.inspect')), verts)],
    [12, reserveAndEnd(calls, reserveRequest(upscale), paths.commit, commitRequest(), verts)],
    [6, reserveAndEnd(calls, reserveRequest(convert), paths.release, releaseRequest(), verts)],
    [
      8,
      one(paths.charge, chargeRequest(usage('image.resize', { output_pixels: 786_432n })), verts),
    ],
    [8, one(paths.getBalance, balanceRequest(), verts)],
    [1, history(calls, verts)],
  ];
}

const weighted = (jobs: readonly (readonly [number, Job])[]): readonly Job[] =>
  jobs.flatMap(([share, job]) => Array.from({ length: share }, () => job));

const randomAccount = (of: Accounts): string => accountId(of, Math.floor(Math.random() * of.count));

const single =
  (calls: Calls, path: string, request: Template, of: Accounts): Job =>
  (done) =>
    calls.unary(path, request.make(randomAccount(of)), (error) => done(1, error));

/** A reservation and its commit or release. */
const reserveAndEnd =
  (calls: Calls, reserve: Template, path: string, end: Template, of: Accounts): Job =>
  (done) => {
    const account = randomAccount(of);
    calls.unary(paths.reserve, reserve.make(account), (error, response) => {
      if (error) return done(0, error);
      calls.unary(path, end.make(account, reservationIdOf(response)), (failed) => done(2, failed));
    });
  };

/** One account's history. */
const history = (calls: Calls, of: Accounts): Job => {
  const request = historyRequest();
  return (done) =>
    calls.stream(
      paths.streamHistory,
      request.make(randomAccount(of)),
      () => {},
      (error) => done(1, error),
    );
};
