/** Objects with a function for each method of a service. */
import type { Call } from './call.ts';
import type { CallOptions } from './call-options.ts';
import { complete } from './complete.ts';
import type { DeepPartial, Method, Route, ServiceDefinition } from './method.ts';

/** Sends a request once and yields each message of the answer. Leaving the loop early cancels the call. */
export type OpenStream = <Request, Response>(
  route: Route<Request, Response>,
  request: Request,
  options: CallOptions,
) => AsyncGenerator<Response, void, void>;

type UnaryMethod<Request, Response> = (
  request: DeepPartial<Request>,
  options?: CallOptions,
) => Promise<Response>;

type StreamMethod<Request, Response> = (
  request: DeepPartial<Request>,
  options?: CallOptions,
) => AsyncGenerator<Response, void, void>;

/** The functions of a service, such as `charge(request, options)`. */
export type ServiceMethods<Definition extends ServiceDefinition> = {
  readonly [Name in keyof Definition['methods']]: Definition['methods'][Name] extends Method<
    infer Request,
    infer Response
  >
    ? Definition['methods'][Name]['responseStream'] extends true
      ? StreamMethod<Request, Response>
      : UnaryMethod<Request, Response>
    : never;
};

export function serviceMethods<Definition extends ServiceDefinition>(
  { fullName, methods }: Definition,
  call: Call,
  stream: OpenStream,
): ServiceMethods<Definition> {
  const functions = Object.entries(methods).map(([key, method]) => {
    const route = { ...method, path: `/${fullName}/${method.name}` };
    const { requestType } = method;
    const unary = async (request: DeepPartial<unknown>, options: CallOptions = {}) =>
      await call(route, complete(requestType, request), options);
    const streaming = (request: DeepPartial<unknown>, options: CallOptions = {}) =>
      stream(route, complete(requestType, request), options);
    return [key, method.responseStream ? streaming : unary];
  });
  return Object.fromEntries(functions) as ServiceMethods<Definition>;
}
