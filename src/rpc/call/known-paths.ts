/** The methods that there are, by their paths, such as "/billing.v1.BillingService/Reserve". */
import { SANDBOX_DEFINITION, SERVICE_DEFINITIONS } from '../service-definitions.ts';

const services = [...Object.values(SERVICE_DEFINITIONS), SANDBOX_DEFINITION];
const methods = services.flatMap((service) => Object.values(service));
const paths = new Set<string>(methods.map(({ path }) => path))
  .add('/grpc.health.v1.Health/Check')
  .add('/grpc.health.v1.Health/Watch');

/** What callers think of is unlimited in number: only these are names of metrics and spans. */
export const isKnownPath = (path: string): boolean => paths.has(path);
