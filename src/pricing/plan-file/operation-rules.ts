/** Rules that concern several parts of an operation in a plan file. */
import { getCelPrice } from '../cel-price.ts';
import type { AttributeComponent, CelComponent, Component, TierComponent } from '../plan.ts';
import { findUnpriceableInputs } from './cel-trial.ts';
import type { OperationDraft } from './operation-draft.ts';
import type { ValidationError } from './validation-error.ts';

/** All errors of the operation, with paths that start at it. */
export function operationErrors(operation: OperationDraft): readonly ValidationError[] {
  return [
    ...billableErrors(operation),
    ...nameErrors(operation),
    ...operation.components.flatMap((component, index) =>
      (component === undefined ? [] : componentErrors(component, operation)).map(
        ({ path, reason }) => ({ path: ['components', index, ...path], reason }),
      ),
    ),
  ];
}

function billableErrors({ billable, components }: OperationDraft): readonly ValidationError[] {
  const errors: ValidationError[] = [];
  if (billable === false && components.length > 0) {
    errors.push({ path: ['components'], reason: 'prices an operation that is not billable' });
  }
  if (billable === true && components.length === 0) {
    errors.push({ path: ['components'], reason: 'leaves a billable operation without a price' });
  }
  const expressions = components.flatMap((component, index) =>
    component?.kind === 'cel' ? [index] : [],
  );
  for (const index of expressions.slice(1)) {
    errors.push({
      path: ['components', index],
      reason: 'is a second CEL expression; only one is allowed',
    });
  }
  return errors;
}

/** Quantities and attributes share a namespace, because a CEL expression reads both by name. */
function nameErrors({ quantities, attributes }: OperationDraft): readonly ValidationError[] {
  return [...attributes.keys()]
    .filter((name) => quantities.has(name))
    .map((name) => ({ path: ['attributes', name], reason: 'is also the name of a quantity' }));
}

function componentErrors(
  component: Component,
  operation: OperationDraft,
): readonly ValidationError[] {
  switch (component.kind) {
    case 'flat':
      return [];
    case 'per_unit':
      return undeclaredQuantity(component.quantity, operation);
    case 'tier':
      return [
        ...undeclaredQuantity(component.quantity, operation),
        ...tierErrors(component, operation),
      ];
    case 'attribute':
      return attributeErrors(component, operation);
    case 'cel':
      return celErrors(component, operation);
  }
}

function undeclaredQuantity(
  name: string,
  { quantities }: OperationDraft,
): readonly ValidationError[] {
  if (quantities.has(name)) return [];
  return [
    { path: ['quantity'], reason: `names ${name}, which is not a quantity of this operation` },
  ];
}

/** Steps must cover the quantity's range up to its max, and each must be reachable. */
function tierErrors(
  { quantity, steps }: TierComponent,
  draft: OperationDraft,
): readonly ValidationError[] {
  const range = draft.quantities.get(quantity);
  if (range === undefined) return [];
  const errors = steps.flatMap(({ upTo }, index): ValidationError[] => {
    const before = steps[index - 1]?.upTo;
    const path = ['steps', index, 'up_to'];
    if (before !== undefined && before >= range.max) {
      return [{ path, reason: `is never reached: the step before ends at the max, ${range.max}` }];
    }
    return upTo < range.min
      ? [{ path, reason: `is never reached: ${quantity} is at least ${range.min}` }]
      : [];
  });
  const last = steps.length - 1;
  const end = steps[last]?.upTo ?? 0n;
  if (end >= range.max) return errors;
  const reason = `leaves ${quantity} above ${end} without a price: its max is ${range.max}`;
  return [...errors, { path: ['steps', last, 'up_to'], reason }];
}

function attributeErrors(
  component: AttributeComponent,
  draft: OperationDraft,
): readonly ValidationError[] {
  const name = component.attribute;
  if (!draft.attributes.has(name)) {
    const reason = `names ${name}, which is not an attribute of this operation`;
    return [{ path: ['attribute'], reason }];
  }
  const declared = draft.attributes.get(name);
  const values = declared?.values ?? null;
  const undeclared = [...component.credits.keys()].filter(
    (value) => values?.includes(value) === false,
  );
  const errors = undeclared.map((value): ValidationError => {
    return { path: ['credits', value], reason: `is not one of the values of ${name}` };
  });
  if (component.default !== 'refuse') return errors;
  const declaredValues = new Set([
    ...(values ?? []),
    ...(declared?.default ? [declared.default] : []),
  ]);
  const refused = [...declaredValues].filter((value) => !component.credits.has(value));
  return [
    ...errors,
    ...refused.map((value): ValidationError => {
      return { path: ['default'], reason: `refuses ${value}, which ${name} declares` };
    }),
  ];
}

function celErrors(component: CelComponent, draft: OperationDraft): readonly ValidationError[] {
  const { quantities, attributes } = draft;
  const price = getCelPrice(component);
  const names = [...price.variables];
  const unknown = names.filter((name) => !quantities.has(name) && !attributes.has(name));
  const reasons = [
    ...price.errors,
    ...unknown.map(
      (name) => `names ${name}, which is not a quantity or attribute of this operation`,
    ),
  ];
  const canBeTried = names.every((name) => quantities.get(name) ?? attributes.get(name));
  const unpriceable =
    reasons.length === 0 && canBeTried ? findUnpriceableInputs(price, draft) : null;
  if (unpriceable !== null) reasons.push(unpriceable);
  return reasons.map((reason) => ({ path: ['expression'], reason }));
}
