/**
 * What is typed for the golden files, in this order: later commands find what earlier ones have made. Each file has the
 * help of its command, a success, a mistake of the person who types, and a refusal: of the service, or an answer that is no.
 */

export type Where =
  /** The service, as an operator who may do everything. */
  | 'service'
  /** A database without a service, whose clock is real. */
  | 'database'
  /** A service whose clock is moved. */
  | 'sandbox'
  /** An empty database. */
  | 'empty'
  /** None of them. */
  | 'nothing';

export type Typed = {
  readonly args: readonly string[];
  readonly exitCode: number;
  readonly where: Where;
  /** Moves the clock of the service first, in days, and closes the months that are over. */
  readonly days?: number;
  /** The first lines suffice. */
  readonly linesMax?: number;
  readonly isSqueezed?: boolean;
};

/** `{reservation}` is the newest reservation of the scenario, `{plans}` a folder with plan files. */
const words = (line: string): readonly string[] =>
  [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');

const typed =
  (where: Where) =>
  (line: string, exitCode = 0, more: Partial<Typed> = {}): Typed => ({
    args: words(line),
    exitCode,
    where,
    ...more,
  });

const service = typed('service');
const database = typed('database');
const sandbox = typed('sandbox');
const empty = typed('empty');
const nothing = typed('nothing');

/** The policy knows no such caller. */
const stranger = (line: string): Typed => service(`${line} --caller stranger`, 4);

export const SCENARIO: Readonly<Record<string, readonly Typed[]>> = {
  'account open': [
    service(
      'account open acme --plan verts --name "Acme" --label team=media --request-id open-1'.replaceAll(
        '"',
        "'",
      ),
    ),
    service('account open acme --plan verts --name Acme --label team=media --request-id open-1'),
    service('account open invoices --plan perfectparser --request-id open-2 --json'),
    service('account open cloud --plan aspose-cloud --request-id open-3'),
    service('account open other --plan verts --time-zone Mars/Olympus', 2),
    service('account open other --plan vert', 1),
    service('account open other', 2),
    service('account open other --plan verts --label media', 2),
    service('account open acme --plan verts --request-id open-4', 4),
  ],
  'account show': [
    service('account show acme'),
    service('account show acme --json'),
    service('account show', 2),
    service('account show nobody', 1),
    stranger('account show acme'),
  ],
  'account list': [
    service('account list'),
    service('account list --plan verts --limit 1 --json'),
    service('account list --limit 1'),
    service('account list --plan none', 1),
    service('account list --label team=media'),
    service('account list --label team --available-at-most 100 --json'),
    service('account list --label team=print', 1),
    service('account list --available-at-most few', 2),
    service('account list --label =media', 2),
    service('account list --limit none', 2),
    stranger('account list'),
  ],
  grant: [
    service("grant acme --credits 100 --reason 'a gift' --request-id grant-1"),
    service(
      "grant acme --credits 5 --category promotional --expires 2031-03-01 --reason 'trade fair' --request-id grant-2",
    ),
    service('grant acme --credits 100', 2),
    service('grant acme --credits many --reason x', 2),
    service('grant acme --credits 1 --category promo --reason x', 2),
    stranger("grant acme --credits 100 --reason 'a gift'"),
  ],
  estimate: [
    service('estimate acme image.upscale scale_factor=8 --count 3'),
    service('estimate invoices extraction.result_per_file pages=2 --count 30'),
    service('estimate cloud document.convert'),
    service('estimate acme file.inspect --json'),
    service('estimate acme image.upscal scale_factor=8', 2),
    service('estimate acme image.upscale scale_factor=800', 2),
    service('estimate acme image.upscale', 2),
    service('estimate acme', 2),
    stranger('estimate acme file.inspect'),
  ],
  charge: [
    service(
      'charge acme image.upscale scale_factor=2 --count 3 --reference job-1 --request-id charge-1',
    ),
    service(
      'charge acme image.upscale scale_factor=2 --count 3 --reference job-1 --request-id charge-1',
    ),
    service('charge acme --credits 12 --request-id charge-2'),
    service('charge cloud document.convert --count 60 --request-id charge-3 --json'),
    service('charge acme image.upscale scale_factor', 2),
    service('charge acme image.upscal scale_factor=8', 2),
    service('charge acme --credits 12 --count 3', 2),
    service('charge acme', 2),
    service('charge acme --credits 12 --used-at yesterday', 2),
    service('charge acme --credits 12 --used-at 2031-01-15T09:00:00Z --request-id late-1', 4),
    service('charge acme --credits 13 --request-id charge-2', 2),
    service('charge invoices extraction.result_per_file pages=2 --count 30', 6),
    stranger('charge acme --credits 1'),
  ],
  reserve: [
    service(
      'reserve acme file.inspect --count 9 --ttl 10m --reference job-2 --request-id reserve-1',
    ),
    service('reserve acme --credits 4 --over-commit dra', 2),
    service('reserve acme --credits 4 --ttl long', 2),
    service('reserve acme file.inspect --credits 4', 2),
    service('reserve acme --credits 4000', 6),
    stranger('reserve acme --credits 4'),
  ],
  commit: [
    service('commit acme {reservation} file.inspect --count 2 --partial --request-id commit-1'),
    service('commit acme {reservation} --credits 100', 4),
    service('commit acme {reservation} file.inspect --count 3 --request-id commit-2'),
    service('commit acme {reservation} --all', 4),
    service('commit acme {reservation}', 2),
    service('commit acme {reservation} --all --credits 3', 2),
    service('commit acme nothing --all', 2),
    service('commit acme {purchase} --all', 1),
    stranger('commit acme {reservation} --all'),
  ],
  release: [
    service('reserve acme --credits 4 --request-id reserve-2'),
    service('release acme {reservation} --request-id release-1'),
    service('release acme', 2),
    stranger('release acme {reservation}'),
  ],
  refund: [
    service("refund acme 4 --credits 4 --reason 'the picture was blank' --request-id refund-1"),
    service('refund acme 4 --all --reason x --request-id refund-2 --json'),
    service('refund acme 4 --all', 2),
    service('refund acme 4 --reason x', 2),
    service('refund acme four --all --reason x', 2),
    service('refund acme 400 --all --reason x', 1),
    service('refund acme 4 --credits 4 --reason x', 4),
  ],
  balance: [
    service('balance acme'),
    service('balance acme --json'),
    service('balance', 2),
    service('balance nobody', 1),
    service('balance acme --after-entry 4'),
    service('balance acme --as-of 2031-01-15T10:00:00Z --json'),
    service('balance acme --after-entry 400', 1),
    service('balance acme --as-of 2031-01-01 --after-entry 4', 2),
    service('balance acme --as-of yesterday', 2),
    service('balance acme --as-of 2030-01-01', 4),
    service('balance acme --address 127.0.0.1:1', 3),
    service('balance acme --profile staging', 2),
    stranger('balance acme'),
  ],
  'grants update': [
    service("grants update acme 2 --expires never --reason 'extended' --request-id update-1"),
    service("grants update acme 2 --expires never --reason 'extended' --request-id update-2"),
    service(
      "grants update acme 2 --priority 10 --only-for image.upscale file.inspect --reason 'as agreed' --request-id update-3 --json",
    ),
    service('grants update acme 2 --reason x', 2),
    service('grants update acme 2 --priority high --reason x', 2),
    service('grants update acme 2 --priority 101 --reason x', 2),
    service('grants update acme 2 --expires 2031-01-01 --reason x', 2),
    service('grants update acme 2 --only-for image.upscal --reason x', 2),
    service('grants update acme 2 --only-for file.inspect --all-operations --reason x', 2),
    service('grants update acme 200 --priority 1 --reason x', 1),
    stranger('grants update acme 2 --priority 1 --reason x'),
  ],
  'grants void': [
    service("grants void acme 2 --credits 2 --reason 'two too many' --request-id void-1"),
    service("grants void acme 2 --credits 2 --reason 'two too many' --request-id void-1"),
    service("grants void acme 2 --all --returned --reason 'a mistake' --request-id void-2 --json"),
    service('grants void acme 2 --all', 2),
    service('grants void acme 2 --reason x', 2),
    service('grants void acme two --all --reason x', 2),
    service('grants void acme 2 --all --reason x', 4),
    service('grants void acme 200 --all --reason x', 1),
    stranger('grants void acme 2 --all --reason x'),
  ],
  'grants list': [
    service('grants list acme'),
    service('grants list invoices --json'),
    service('grants list acme --limit 0', 2),
    service('grants list nobody', 1),
    stranger('grants list acme'),
  ],
  import: [
    service('import {plans}/accounts.jsonl --system billing-v1 --dry-run'),
    service('import {plans}/accounts.jsonl --system billing-v1'),
    service('import {plans}/accounts.jsonl --system billing-v1 --json'),
    service('import {plans}/mistakes.jsonl --system billing-v1 --dry-run', 1),
    service('import {plans}/mistakes.jsonl --system billing-v1 --json', 1),
    service('import {plans}/accounts.jsonl', 2),
    service('import {plans}/missing.jsonl --system billing-v1', 2),
    stranger('import {plans}/accounts.jsonl --system billing-v1'),
  ],
  history: [
    service('history acme'),
    service('history acme --last 1 --json'),
    service('history acme --newest --last 3'),
    service('history acme --request charge-1'),
    service('history acme --reservation {reservation} --newest'),
    service('history acme --label team'),
    service('history acme --kind CHARGE --last 1'),
    service('history acme --kind COMIT', 2),
    service('history acme --trace 17', 2),
    service('history acme --newest --follow', 2),
    service('history nobody', 1),
    stranger('history acme'),
  ],
  reservations: [
    service('reservations acme'),
    service('reservations acme --state released --json'),
    service('reservations acme --state activ', 2),
    service('reservations acme --stuck', 2),
    service('reservations --state active', 2),
    service('reservations invoices', 1),
    service('reservations --stuck', 1),
    stranger('reservations acme'),
  ],
  trace: [
    service('trace acme/4'),
    service('trace reserve-1 --account acme'),
    service('trace acme/4 --kind entr', 2),
    service('trace acme/400', 1),
    stranger('trace acme/4'),
  ],
  refusals: [
    service('refusals --account acme --reason EXCEEDS_RESERVATION', 0, { isSqueezed: true }),
    service('refusals --limit 0', 2),
    service('refusals --account nobody-else', 1),
    stranger('refusals'),
  ],
  events: [
    service('events --account acme'),
    service('events --account invoices --json'),
    service('events --after nowhere', 2),
    service('events --typ x', 2),
    stranger('events'),
  ],
  'purchases buy': [
    service('purchases buy invoices small --paid invoice-8 --request-id buy-2'),
    service('purchases buy invoices starter --paid invoice-9 --request-id buy-3 --json'),
    service('purchases buy invoices starter --paid invoice-8', 4),
    service('purchases buy invoices starter --request-id buy-4', 4),
    service('purchases buy invoices starter --quantity 2 --paid invoice-11 --request-id buy-5'),
    service('purchases buy invoices starter --quantity 0 --paid invoice-12', 2),
    service('purchases buy invoices startr --paid invoice-10', 1),
    service('purchases buy invoices starter --paid x --return-to https://shop.example/', 2),
    service('purchases buy invoices', 2),
    stranger('purchases buy invoices starter --paid x'),
  ],
  'purchases list': [
    service('purchases list shop'),
    service('purchases list shop --state paid --json'),
    service('purchases list shop --state payd', 2),
    service('purchases list acme', 1),
    stranger('purchases list shop'),
  ],
  'purchases mismatched': [
    service('purchases mismatched'),
    service('purchases mismatched shop', 2),
  ],
  'purchases packs': [
    service('purchases packs shop'),
    service('purchases packs shop --json'),
    service('purchases packs nobody', 1),
    service('purchases packs', 2),
    stranger('purchases packs shop'),
  ],
  'purchases price': [
    service('purchases price invoices starter --quantity 3'),
    service('purchases price invoices startr', 1),
    service('purchases price invoices starter --credits 5', 2),
    service('purchases price invoices', 2),
  ],
  'purchases resolve': [
    service('purchases resolve shop {purchase} --reason x', 2),
    stranger('purchases resolve shop {purchase} --accept --reason x'),
    service(
      "purchases resolve shop {purchase} --accept --reason 'discount agreed' --request-id resolve-1",
    ),
    service('purchases resolve shop {purchase} --reject --reason x', 4),
    service('purchases resolve acme {purchase} --reject --reason x', 1),
  ],
  'account top-up': [
    sandbox(
      'account top-up verts --pack starter --below 50 --customer cus_17 --method pm_card_visa --monthly 3 --request-id top-up-1',
    ),
    sandbox('account show verts'),
    sandbox('account top-up verts --off --request-id top-up-2 --json'),
    sandbox('account top-up verts --pack none --below 50 --customer c --method m', 1),
    service('account top-up shop --pack starter', 2),
    service('account top-up shop --off --pack starter', 2),
    service('account top-up shop --pack none --below 50 --customer c --method m', 4),
    stranger('account top-up shop --off'),
  ],
  'account move': [
    service("account move acme perfectparser --reason 'ticket 17' --request-id move-1"),
    service('account move acme perfectparse --reason x', 1),
    service('account move acme verts', 2),
    stranger('account move acme verts --reason x'),
  ],
  'account suspend': [
    service("account suspend cloud --reason 'payment overdue' --request-id suspend-1"),
    service("account suspend cloud --stop --reason 'stolen card' --request-id suspend-2 --json"),
    service('charge cloud document.convert', 4),
    service('account show cloud'),
    service('account list --state suspended'),
    service('account suspend cloud', 2),
    service('account suspend nobody --reason x', 1),
    stranger('account suspend cloud --reason x'),
  ],
  'account resume': [
    service('account resume cloud --reason paid --request-id resume-1'),
    service('account resume cloud --reason paid --request-id resume-2'),
    service('account resume cloud', 2),
    service('account resume nobody --reason x', 1),
    stranger('account resume cloud --reason x'),
  ],
  'account time-zone': [
    service('account time-zone invoices Asia/Calcutta --request-id zone-1'),
    service('account time-zone invoices', 2),
    service('account time-zone invoices Mars', 2),
    service('account time-zone nobody UTC', 1),
    stranger('account time-zone invoices UTC'),
  ],
  'budgets set': [
    service('account open members --plan perfectparser --request-id open-7'),
    service("grant members --credits 1000 --reason 'to share' --request-id grant-7"),
    service(
      "budgets set members per-user --per user --credits 100 --period day --except ann=150 --except bot=unlimited --reason 'members share it' --request-id budget-1",
    ),
    service('charge members --credits 60 --label user=bob --request-id charge-71'),
    service('charge members --credits 41 --label user=bob --request-id charge-72', 4),
    service('charge members --credits 120 --label user=ann --request-id charge-73'),
    service(
      "budgets set members scans --per-operation --value image.upscale --credits 9 --period total --soft --reason 'watch it' --request-id budget-2 --json",
    ),
    service('budgets set members per-user --credits 5 --period day --reason x', 2),
    service('budgets set members per-user --per user --credits 5 --period year --reason x', 2),
    service(
      "budgets set members per-user --per user --credits 5 --period day --except 'ann' --reason x",
      2,
    ),
    service('budgets set nobody per-user --per user --credits 5 --period day --reason x', 1),
    stranger('budgets set members per-user --per user --credits 5 --period day --reason x'),
  ],
  'budgets show': [
    service('budgets show members'),
    service('budgets show members per-user --value bob --json'),
    service('budgets show members --limit 1'),
    service('budgets show members none', 1),
    service('budgets show cloud', 1),
    service('budgets show', 2),
    stranger('budgets show members'),
  ],
  'budgets remove': [
    service('budgets remove members scans --reason over --request-id budget-3'),
    service('budgets remove members scans --reason over --request-id budget-4', 1),
    service('budgets remove members scans', 2),
    stranger('budgets remove members scans --reason over'),
  ],
  'account close': [
    service('account close acme --request-id close-1'),
    service('account close', 2),
    service('account close nobody', 1),
    service('charge acme --credits 1', 4),
    stranger('account close acme'),
  ],
  statement: [
    service('statement cloud'),
    service('statement cloud --closed', 1),
    service('statement cloud --closed', 0, { days: 30 }),
    service('statement cloud 2031-01'),
    service('statement cloud 2031-01 --json'),
    service('statement cloud 2031-13', 2),
    service('statement cloud 2031-01 --closed', 2),
    service('statement cloud 2030-01', 2),
    stranger('statement cloud'),
  ],
  'usage report': [
    service('usage report cloud --from 2031-01-01'),
    service('usage report cloud --from 2031-01-01 --by operation,caller,version --per month'),
    service('usage report cloud --from 2031-01-01 --by account,label:team --csv'),
    service('usage report cloud --from 2031-01-01 --json'),
    service('usage report cloud --by job', 2),
    service('usage report cloud --from 2031-01-01T00:30:00Z', 2),
    service('usage report cloud --plan verts', 2),
    service('usage report nobody', 1),
    stranger('usage report cloud'),
  ],
  'usage rebuild': [
    service('usage rebuild cloud'),
    service('usage rebuild nobody', 1),
    service('usage rebuild cloud acme', 2),
  ],
  'roll-forward report': [
    service('roll-forward report 2031-01'),
    service('roll-forward report 2031-01 --plan verts --csv'),
    service('roll-forward report 2031-01 --plan perfectparser --json'),
    service('roll-forward report January', 2),
    service('roll-forward report 2031-01 --csv --json', 2),
    service('roll-forward report 2030-01', 1),
    service('roll-forward report 2031-01 --plan vert', 1),
    stranger('roll-forward report 2031-01'),
  ],
  'roll-forward rebuild': [
    service('roll-forward rebuild cloud'),
    service('roll-forward rebuild nobody', 1),
    service('roll-forward rebuild cloud acme', 2),
  ],
  rerate: [
    service('rerate verts --from 2031-01-01 --to 2032-01-01 --right 1'),
    service('rerate verts --from 2031-01-01 --to 2032-01-01 --right 1 --csv'),
    service(
      "rerate verts --from 2031-01-01 --to 2032-01-01 --right 1 --apply --reason 'a wrong price'",
    ),
    service('rerate verts --wrong 2 --right 1', 2),
    service('rerate verts --right 1', 2),
    service('rerate verts --wrong 1 --right 7', 2),
    service('rerate vert --wrong 1 --right 2', 2),
    service('rerate nope --wrong 1 --right 2', 2),
    service('rerate verts --wrong nope --right 2', 2),
  ],
  'shadow on': [
    service('account open moving --plan verts --request-id open-8'),
    service("grant moving --credits 15 --reason 'as the other system says' --request-id grant-8"),
    service("shadow on moving --reason 'cut-over, ticket 17'"),
    service("shadow on moving --reason 'cut-over, ticket 17' --json"),
    service('account show moving'),
    service('account list --shadow'),
    service('shadow on --reason all', 2),
    service('shadow on nobody --reason x', 1),
    stranger('shadow on moving --reason x'),
  ],
  'shadow report': [
    service('charge moving image.upscale scale_factor=2 --reference job-1 --request-id charge-81'),
    service('charge moving image.upscale scale_factor=2 --reference job-2 --request-id charge-82'),
    service('balance moving'),
    service('shadow report'),
    service('shadow report {plans}/old-charges.csv', 1),
    service('shadow report {plans}/old-charges.csv --by-day --json', 1),
    service('shadow report {plans}/missing.csv', 2),
    service('shadow report --account nobody', 1),
    stranger('shadow report'),
  ],
  'shadow off': [
    service("shadow off moving --reason 'cut-over, ticket 17'"),
    service('account show moving'),
    service('shadow off', 2),
    service('shadow off nobody --reason x', 1),
    stranger('shadow off moving --reason x'),
  ],
  'plans check': [
    nothing('plans check deploy/plans'),
    nothing('plans check {plans}/broken.yaml', 1),
    nothing('plans check {plans}/missing.yaml', 2),
  ],
  'plans diff': [
    nothing('plans diff {plans}/next.yaml {plans}/next.yaml'),
    nothing('plans diff deploy/plans/verts.yaml {plans}/next.yaml', 1),
    database('plans diff deploy/plans/verts.yaml'),
    database('plans diff {plans}/next.yaml', 1),
    nothing('plans diff {plans}/broken.yaml', 1),
    nothing('plans diff', 2),
  ],
  'plans list': [database('plans list'), database('plans list verts', 2)],
  'plans status': [
    database('plans status'),
    database('plans status {plans}/next.yaml', 1),
    database('plans status {plans}/broken.yaml', 1),
    database('plans status --all', 2),
  ],
  'plans publish': [
    database('plans publish {plans}/next.yaml --dry-run'),
    database('plans publish {plans}/next.yaml'),
    database('plans publish {plans}/next.yaml'),
    database('plans publish {plans}/broken.yaml', 1),
    database('plans publish --dryrun', 2),
    // The service of the tests stands in another year than its database.
    service('plans publish {plans}/next.yaml', 2),
  ],
  'plans preview': [
    service('plans preview {plans}/next.yaml --month 2031-01 --accounts-of aspose-cloud'),
    service('plans preview deploy/plans/verts.yaml --month 2031-01'),
    service('plans preview deploy/plans/verts.yaml --month 2030-01'),
    service(
      'plans preview {plans}/next.yaml --month 2031-01 --accounts-of aspose-cloud --format csv',
    ),
    service('plans preview {plans}/broken.yaml', 1),
    service('plans preview deploy/plans/verts.yaml --month january', 2),
    service('plans preview deploy/plans/verts.yaml --accounts-of vert', 2),
  ],
  'policy check': [
    nothing('policy check deploy/policy.yaml'),
    nothing('policy check {plans}/broken.yaml', 1),
    nothing('policy check', 2),
  ],
  'policy explain': [
    nothing(
      'policy explain spiffe://example.org/media/renderer Reserve cust-1 --file deploy/policy.yaml',
    ),
    nothing(
      'policy explain spiffe://example.org/media/renderer Reserv --file deploy/policy.yaml',
      2,
    ),
    nothing('policy explain spiffe://example.org/nobody Reserve --file deploy/policy.yaml', 1),
  ],
  'clock status': [
    database('clock status'),
    database('clock status --json', 2),
    service('clock status', 1),
  ],
  'clock accept': [database('clock accept'), database('clock accept now', 2)],
  'sandbox time': [
    sandbox('sandbox time'),
    sandbox('sandbox time now', 2),
    service('sandbox time', 4),
  ],
  'sandbox pay': [
    sandbox('sandbox pay {payment} --decline'),
    sandbox('sandbox pay {payment}'),
    sandbox('sandbox pay {payment}', 2),
    sandbox('sandbox pay verts --dispute --json'),
    sandbox('sandbox pay verts --lose'),
    sandbox('purchases list verts'),
    sandbox('sandbox pay nobody', 1),
    sandbox('sandbox pay {payment} --refund --dispute', 2),
    sandbox('sandbox pay 0198f0c4-6a5e-7c3a-9b1d-2e4f6a8b0c1d', 1),
    service('sandbox pay 0198f0c4-6a5e-7c3a-9b1d-2e4f6a8b0c1d', 4),
  ],
  'sandbox payments': [
    sandbox('sandbox payments'),
    sandbox('sandbox payments --json'),
    sandbox('sandbox payments shop', 2),
    service('sandbox payments', 4),
  ],
  'sandbox advance': [
    sandbox('sandbox advance 40d'),
    sandbox('sandbox advance 1m --json', 0, { linesMax: 2 }),
    sandbox('sandbox advance 2020-01-01', 2),
    sandbox('sandbox advance monht end', 2),
    sandbox('sandbox advance', 2),
    sandbox('sandbox advance 1d --until 2199-01-01', 2),
    sandbox('sandbox advance --until 2199-01-01', 2),
    service('sandbox advance 40d', 4),
  ],
  'sandbox create': [
    empty('sandbox create'),
    empty('sandbox create'),
    database('sandbox create', 2),
    nothing('sandbox create', 2),
    empty('sandbox create now', 2),
  ],
  'anchor write': [
    database('anchor write --directory {plans} --key {plans}/key.pem'),
    database('anchor write --directory {plans}', 2),
    database('anchor write --directory {plans} --key {plans}/next.yaml', 2),
  ],
  archive: [
    database('archive --before 2020-01 --dry-run'),
    database('archive --before 2020-13', 2),
    database('archive --before 2020-01', 2),
    database('archive --keep-months 13 --dry-run'),
    database('archive --keep-months 0', 2),
    database('archive --keep-months 13 --before 2020-01', 2),
    database('archive', 2),
  ],
  'cells list': [database('cells list', 0, { isSqueezed: true }), database('cells list now', 2)],
  'cells check': [database('cells check'), database('cells check now', 2)],
  'cells split': [
    database('cells split --take-back'),
    database('cells split', 2),
    database('cells split --from eu-1 --to eu-2 --share 50', 2),
    database('cells split --from eu-1 --to eu-1 --slots 0-1023', 2),
    database('cells split --from eu-1 --to eu-2 --slots 5000', 2),
    database('cells split --from eu-1 --to eu-2 --share 200', 2),
  ],
  // One database has no other cell: test/slot-moves moves whole ones.
  'cells move': [
    database('cells move eu-1 --to eu-3', 2),
    database('cells move default --to eu-3', 1),
    database('cells move default --to default', 2),
    database('cells move default', 2),
    database('cells move default --to eu-3 --at-once some', 2),
  ],
  'cells restored': [database('cells restored eu-1', 2), database('cells restored')],
  'cells of': [database('cells of acme'), database('cells of', 2)],
  // One database is no cluster: test/citus places cells.
  'cells place': [
    database('cells place default worker-1:5432', 1),
    database('cells place default', 2),
  ],
  verify: [
    database('verify'),
    // The purchase that was accepted was never made by a checkout.
    service('verify', 1),
    service('verify --account acme'),
    service('verify --account nobody', 1),
    service('verify --anchor {plans}/next.yaml', 2),
    service('verify acme', 2),
  ],
  doctor: [
    database('doctor', 0, { isSqueezed: true }),
    database('doctor --replicas 200', 1, { isSqueezed: true }),
    database('doctor --json', 0, { linesMax: 8 }),
    database('doctor --replicas none', 2),
    database('doctor postgres', 2),
  ],
  migrate: [database('migrate'), database('migrate --force', 2), nothing('migrate', 2)],
  'db url': [nothing('db url'), nothing('db url acme', 2), database('db url', 1)],
  completion: [nothing('completion bash', 0, { linesMax: 3 }), nothing('completion csh', 2)],
};
