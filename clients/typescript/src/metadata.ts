/** In a module of its own, so that a bundler leaves gRPC out where nothing uses it. */
export { Metadata } from '@grpc/grpc-js';
