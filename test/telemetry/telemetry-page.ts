/** docs/telemetry.md, which is made from the tables of names in src/telemetry. */
import { metricsSection } from './metrics-section.ts';
import { logsSection, spansSection } from './spans-section.ts';

const HEAD = `# Telemetry

Names of spans, attributes, metrics and log lines. This page is made from the tables in \`src/telemetry\` by \`npm run telemetry-page\`. What to
do with them is in [operations](operations.md#tracing-and-logs).
`;

export const telemetryPage = (): string =>
  [HEAD, spansSection(), logsSection(), metricsSection().trimEnd(), ''].join('\n');
