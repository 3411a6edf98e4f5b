/** The files that are made from the sources, by their path in deploy/observability. */
import { LEDGER } from './ledger-dashboard.ts';
import { dashboardOf } from './panels.ts';
import { SERVICE } from './service-dashboard.ts';
import { sloRules } from './slos.ts';

export const written = (): Readonly<Record<string, string>> => ({
  'rules/slos.yaml': sloRules(),
  'dashboards/service.json': dashboardOf(SERVICE),
  'dashboards/ledger.json': dashboardOf(LEDGER),
});
