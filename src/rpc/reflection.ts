/**
 * Server reflection: serves the descriptors that buf built from the protos, so that clients such as
 * grpcurl need no files. @grpc/reflection 1.0.4 is not used, because it rebuilds the descriptors and
 * loses the imports of google.protobuf types, so that grpcurl rejects them.
 */
import { constants } from 'node:http2';
import { type DescFile, type FileRegistry, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import type { Server, ServerDuplexStream, ServiceDefinition } from '@grpc/grpc-js';
import { status } from '@grpc/grpc-js';
import {
  type ServerReflectionRequest,
  ServerReflectionResponse,
  ServerReflectionService,
} from '../gen/grpc/reflection/v1/reflection.ts';
import { streamOf } from './call/access.ts';
import type { OpenStreams } from './call/open-streams.ts';
import { shorten } from './call/shorten.ts';

/** The two names of the service. Clients older than 2023 know only the second. */
const PATHS = {
  v1: '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
  v1alpha: '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo',
};

type Call = ServerDuplexStream<ServerReflectionRequest, Uint8Array>;
type Answer = ServerReflectionResponse['messageResponse'];

export function addReflection(server: Server, descriptors: FileRegistry, streams: OpenStreams) {
  const answer = answersFrom(descriptors);
  /** A file has a thousand times the bytes of its request: the next one is read when the reader has this one's. */
  const handle = (call: Call) => {
    call.on('data', async (request: ServerReflectionRequest) => {
      call.pause();
      const bytes = ServerReflectionResponse.encode({
        validHost: request.host,
        originalRequest: request,
        messageResponse: answer(request.messageRequest),
      }).finish();
      const sent = new Promise<void>((resolve) => call.write(bytes, () => resolve()));
      try {
        await streams.waitForReader(bytes.length, sent, {});
        call.resume();
      } catch {
        streamOf(call).close(constants.NGHTTP2_CANCEL);
      }
    });
    call.on('end', () => call.end());
  };
  const method = {
    ...ServerReflectionService.serverReflectionInfo,
    responseSerialize: (bytes: Uint8Array) =>
      Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length),
  };
  for (const path of Object.values(PATHS)) {
    const definition: ServiceDefinition = { serverReflectionInfo: { ...method, path } };
    server.addService(definition, { serverReflectionInfo: handle });
  }
}

function answersFrom(registry: FileRegistry) {
  const files = new Map([...registry.files].map((file) => [`${file.name}.proto`, file]));
  const services = [...registry]
    .filter((type) => type.kind === 'service' && !type.typeName.startsWith('grpc.reflection.'))
    .map((type) => ({ name: type.typeName }));
  const encoded = new Map(
    [...registry.files].map((file) => [
      file,
      Buffer.from(toBinary(FileDescriptorProtoSchema, file.proto)),
    ]),
  );

  return (request: ServerReflectionRequest['messageRequest']): Answer => {
    switch (request?.$case) {
      case 'listServices':
        return { $case: 'listServicesResponse', value: { service: services } };
      case 'fileByFilename':
        return fileAnswer(files.get(request.value), shorten(request.value));
      case 'fileContainingSymbol':
        return fileAnswer(fileOf(request.value), shorten(request.value));
      default:
        return failure(status.UNIMPLEMENTED, 'the services have no extensions');
    }
  };

  function fileOf(symbol: string): DescFile | undefined {
    // The registry knows types. A method, field or enum value is found by the type it belongs to.
    const type = registry.get(symbol) ?? registry.get(symbol.slice(0, symbol.lastIndexOf('.')));
    return type?.file;
  }

  /** The file and all files that it imports, each once. */
  function fileAnswer(file: DescFile | undefined, name: string): Answer {
    if (!file) return failure(status.NOT_FOUND, `${name} is not known`);
    const all = new Set<DescFile>();
    const add = (one: DescFile) => {
      if (all.has(one)) return;
      all.add(one);
      one.dependencies.forEach(add);
    };
    add(file);
    const fileDescriptorProto = [...all].flatMap((one) => encoded.get(one) ?? []);
    return { $case: 'fileDescriptorResponse', value: { fileDescriptorProto } };
  }
}

const failure = (errorCode: number, errorMessage: string): Answer => ({
  $case: 'errorResponse',
  value: { errorCode, errorMessage },
});
