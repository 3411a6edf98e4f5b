/** The schema of a policy file. Rules between its parts are in `policy-rules.ts`. */
import { z } from 'zod';
import { durationMs, keyedBy, text, yamlIntegers } from '../pricing/plan-file/scalar-schemas.ts';
import { asMapping } from '../pricing/plan-file/validation-error.ts';
import { HEADER } from './caller-name.ts';
import type { RequiredClaim } from './claims.ts';
import { ISSUER_NAME, TOKEN_ALGORITHMS, type TokenIssuer } from './token-issuer.ts';

const CLOCK_TOLERANCE_MAX_MS = 5 * 60_000;
/** Rates and bursts of a second. */
const RATE_MAX = 1_000_000_000n;
/** The largest whole number that JSON keeps. */
const SAFE_MAX = BigInt(Number.MAX_SAFE_INTEGER);
const STREAMS_MAX = 100_000n;

const roleName = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,62}$/, 'must be 1 to 63 of a-z, 0-9 and -, beginning with a letter');

const issuerName = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,31}$/, 'must be 1 to 32 of a-z, 0-9 and -, beginning with a letter')
  .refine(
    (name) => ISSUER_NAME.test(name) && name !== HEADER,
    'must not be cn, spiffe or header: callers of other methods begin so',
  );

/** The name of a caller, or the beginning of names. */
const callerName = z
  .string()
  .regex(/^[\x21-\x29\x2b-\x7e]{1,256}$/, 'must be printable ASCII without spaces, and without *');

/** A name, or the beginning of names followed by "*". */
const namePattern = z
  .string()
  .regex(
    /^(?=.{1,256}$)[\x21-\x29\x2b-\x7e]*\*?$/,
    'must be printable ASCII without spaces; a * may end it',
  );

const operationPattern = z
  .string()
  .regex(
    /^(?=.{1,128}$)([a-z][a-z0-9_.]*)?\*?$/,
    'must be the name of an operation, or the beginning of names and *, such as image.*',
  );

const accountPrefix = z
  .string()
  .regex(
    /^[\x21-\x29\x2b-\x7e]{1,128}$/,
    'must be 1 to 128 printable ASCII characters without spaces, and without *',
  );

/** Lists with at least one item: an empty one would look like no limit, and be the strictest. */
const some = <T>(item: z.ZodType<T>) => z.array(item).min(1);

/** Without its key there is no limit. A key without a value is an error: somebody meant to limit something. */
const limit = <T>(schema: z.ZodType<T>) =>
  schema.optional().transform((value): T | null => value ?? null);

/** What a claim is, what a claim that is a list contains, or what a claim that is a mapping must have. */
const claimValue: z.ZodType<RequiredClaim> = z.lazy(() =>
  z.union([text, z.boolean(), yamlIntegers(0n, SAFE_MAX).transform(Number), someClaims], {
    error: ({ input }) =>
      input === undefined
        ? 'missing key'
        : 'must be text, a whole number, true or false, or a mapping of them that is not empty',
  }),
);

const claimValues = keyedBy(text, claimValue);

const someClaims = claimValues.refine(
  (claims) => Object.keys(asMapping(claims)).length > 0,
  'must not be empty',
);

const keySetUrl = z
  .url({ protocol: /^https?$/, error: 'must be an https:// URL' })
  .refine(
    (url) => !URL.canParse(url) || isHttpsOrLoopback(new URL(url)),
    'must be https://: keys that can be changed on the way let anyone issue tokens',
  )
  .refine(
    (url) => !URL.canParse(url) || (new URL(url).username === '' && new URL(url).password === ''),
    'must not name a user',
  );

const isHttpsOrLoopback = ({ protocol, hostname }: URL): boolean =>
  protocol === 'https:' || /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname);

const keySetSchema = z
  .strictObject({
    file: z
      .string()
      .regex(/^\/[^\p{Cc}]+$/u, 'must be an absolute path')
      .optional(),
    url: keySetUrl.optional(),
  })
  .transform(({ file, url }, context): TokenIssuer['jwks'] => {
    if (file !== undefined && url === undefined) return { file };
    if (url !== undefined && file === undefined) return { url };
    context.addIssue('must have either file or url');
    return z.NEVER;
  });

const issuerSchema = z
  .strictObject({
    name: issuerName,
    issuer: text,
    audience: text,
    jwks: keySetSchema,
    caller_claim: text.default('sub'),
    required_claims: claimValues.default({}),
    clock_tolerance: durationMs(0)
      .refine((ms) => ms <= CLOCK_TOLERANCE_MAX_MS, 'must not be longer than 5m')
      .default(30_000),
    algorithms: some(z.enum(TOKEN_ALGORITHMS)).default(['RS256', 'ES256', 'EdDSA']),
  })
  .transform(
    ({ caller_claim, required_claims, clock_tolerance, ...issuer }): TokenIssuer => ({
      ...issuer,
      callerClaim: caller_claim,
      requiredClaims: required_claims,
      clockToleranceMs: clock_tolerance,
    }),
  );

const roleSchema = z.strictObject({
  extends: z.array(z.string()).default([]),
  methods: z.array(z.string()).default([]),
  without: z.array(z.string()).default([]),
});

const accountsSchema = z
  .strictObject({
    prefixes: limit(some(accountPrefix)),
    labels: limit(keyedBy(z.string(), z.string())),
    plans: limit(some(z.string())),
  })
  .refine(
    ({ prefixes, labels, plans }) =>
      prefixes !== null || plans !== null || Object.keys(labels ?? {}).length > 0,
    'must have prefixes, labels or plans',
  );

const creditsSchema = z
  .strictObject({
    per_call: limit(yamlIntegers(1n)),
    per_day: limit(yamlIntegers(1n)),
    per_account_and_day: limit(yamlIntegers(1n)),
  })
  .refine(
    (credits) => Object.values(credits).some((limit) => limit !== null),
    'must have per_call, per_day or per_account_and_day',
  )
  .transform(({ per_call, per_day, per_account_and_day }) => ({
    perCall: per_call,
    perDay: per_day,
    perAccountAndDay: per_account_and_day,
  }));

const rateSchema = z
  .strictObject({
    rate: yamlIntegers(1n, RATE_MAX),
    burst: yamlIntegers(1n, RATE_MAX).optional(),
  })
  .transform(({ rate, burst = rate }) => ({ rate: Number(rate), burst: Number(burst) }));

const ruleSchema = z.strictObject({
  id: callerName.optional(),
  prefix: callerName.optional(),
  claim: someClaims.optional(),
  issuer: z.string().optional(),
  roles: z.array(z.string()),
  accounts: limit(accountsSchema),
  operations: limit(some(operationPattern)),
  own_reservations_only: z.boolean().default(false),
  credits: limit(creditsSchema),
  requests_per_second: limit(rateSchema),
  credits_per_second: limit(rateSchema),
  streams: limit(yamlIntegers(1n, STREAMS_MAX).transform(Number)),
  on_behalf_of: z.array(namePattern).default([]),
  carries_tokens_of: z.array(namePattern).default([]),
});

export const policySchema = z.strictObject({
  version: z.literal(1n, {
    error: ({ input }) => (input === undefined ? 'missing key' : 'must be 1'),
  }),
  issuers: z.array(issuerSchema).default([]),
  roles: keyedBy(roleName, roleSchema).default({}),
  callers: some(ruleSchema),
});

export type PolicyDraft = z.infer<typeof policySchema>;
export type RoleDraft = z.infer<typeof roleSchema>;
export type RuleDraft = z.infer<typeof ruleSchema>;
