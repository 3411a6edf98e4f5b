/** The mutations, as the simulation sends them and as the model decides them. */
import type {
  OfferPackRequest,
  OfferPackResponse,
  ResolvePurchaseRequest,
  ResolvePurchaseResponse,
  SetShadowModeRequest,
  SetShadowModeResponse,
  WithdrawPackRequest,
  WithdrawPackResponse,
} from '../../../src/gen/billing/v1/account_service.ts';
import type { Mutation, MutationResult } from '../../../src/gen/billing/v1/billing_service.ts';

/** A mutation: one that a Batch takes, or one of the others. */
export type Request =
  | NonNullable<Mutation['mutation']>
  | { readonly $case: 'offerPack'; readonly value: OfferPackRequest }
  | { readonly $case: 'withdrawPack'; readonly value: WithdrawPackRequest }
  | { readonly $case: 'setShadowMode'; readonly value: SetShadowModeRequest }
  | { readonly $case: 'resolvePurchase'; readonly value: ResolvePurchaseRequest };

export type Method = Request['$case'];

export type RequestOf<Name extends Method> = Extract<Request, { $case: Name }>['value'];

type Result = NonNullable<MutationResult['result']>;

type Responses = {
  [Name in Exclude<Result['$case'], 'error'>]: Extract<Result, { $case: Name }>['value'];
} & {
  offerPack: OfferPackResponse;
  withdrawPack: WithdrawPackResponse;
  resolvePurchase: ResolvePurchaseResponse;
  setShadowMode: SetShadowModeResponse;
};

export type Response<Name extends Method = Method> = Responses[Name];

/** A response without the mark of a repeated one. */
export type First<Name extends Method = Method> = {
  [Each in Name]: Omit<Responses[Each], 'replay'>;
}[Name];
