/** A replica whose plan files are not the published ones: it starts, and says so once. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { createDatabase } from '../postgres.ts';
import { end, logOf, startReplica } from './replica.ts';

let directory: string;
let databaseUrl: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'scrip-plan-files-'));
  databaseUrl = await createDatabase(inject('postgresUrl'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const PLAN = `
plan_id: verts
title: Other
terms: {}
packs: []
operations:
  file.inspect: { title: Inspect, billable: true, components: [{ kind: flat, label: Job, credits: 99 }] }
`;

test.each([
  ['none', null, 'the plan files are not valid; the published plans are in force'],
  ['invalid ones', 'plan_id: x', 'the plan files are not valid; the published plans are in force'],
  ['other ones', PLAN, 'the plan files differ from the published plans, which are in force'],
])('with %s, a replica works with the published plans', async (_, text, message) => {
  const PLANS_DIRECTORY = join(directory, text === null ? 'nowhere' : '');
  if (text !== null) await writeFile(join(directory, 'verts.yaml'), text);
  const replica = await startReplica({ DATABASE_URL: databaseUrl, PLANS_DIRECTORY });
  try {
    const warnings = logOf(replica.output.stdout).filter(({ level }) => Number(level) >= 40);
    expect(warnings.map(({ msg }) => msg)).toEqual([expect.stringContaining(message)]);
    const { plans } = await replica.plans.listPlans({});
    expect(plans.map(({ planId }) => planId)).toEqual(['aspose-cloud', 'perfectparser', 'verts']);
    const { rateCard } = await replica.plans.getPlan({ planId: 'verts' });
    expect(rateCard?.version).toBe(1n);
  } finally {
    await end(replica);
  }
});
