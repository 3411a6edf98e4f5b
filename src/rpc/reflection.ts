/**
 * Server reflection: serves the descriptors that buf built from the protos, so that clients such as
 * grpcurl need no files. @grpc/reflection 1.0.4 is not used, because it rebuilds the descriptors and
 * loses the imports of google.protobuf types, so that grpcurl rejects them.
 */
import { type DescFile, type FileRegistry, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import type { Server, ServerDuplexStream, ServiceDefinition } from '@grpc/grpc-js';
import { status } from '@grpc/grpc-js';
import {
  type ServerReflectionRequest,
  type ServerReflectionResponse,
  ServerReflectionService,
} from '../gen/grpc/reflection/v1/reflection.ts';

/** The two names of the service. Clients older than 2023 know only the second. */
const PATHS = {
  v1: '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
  v1alpha: '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo',
};

type Call = ServerDuplexStream<ServerReflectionRequest, ServerReflectionResponse>;
type Answer = ServerReflectionResponse['messageResponse'];

export function addReflection(server: Server, descriptors: FileRegistry) {
  const answer = answersFrom(descriptors);
  const handle = (call: Call) => {
    call.on('data', (request: ServerReflectionRequest) => {
      call.write({
        validHost: request.host,
        originalRequest: request,
        messageResponse: answer(request.messageRequest),
      });
    });
    call.on('end', () => call.end());
  };
  const method = ServerReflectionService.serverReflectionInfo;
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

  return (request: ServerReflectionRequest['messageRequest']): Answer => {
    switch (request?.$case) {
      case 'listServices':
        return { $case: 'listServicesResponse', value: { service: services } };
      case 'fileByFilename':
        return fileAnswer(files.get(request.value), request.value);
      case 'fileContainingSymbol':
        return fileAnswer(fileOf(request.value), request.value);
      default:
        return failure(status.UNIMPLEMENTED, 'the services have no extensions');
    }
  };

  function fileOf(symbol: string): DescFile | undefined {
    // The registry knows types. A method, field or enum value is found by the type it belongs to.
    const type = registry.get(symbol) ?? registry.get(symbol.slice(0, symbol.lastIndexOf('.')));
    return type?.file;
  }
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
  const fileDescriptorProto = [...all].map((one) =>
    Buffer.from(toBinary(FileDescriptorProtoSchema, one.proto)),
  );
  return { $case: 'fileDescriptorResponse', value: { fileDescriptorProto } };
}

const failure = (errorCode: number, errorMessage: string): Answer => ({
  $case: 'errorResponse',
  value: { errorCode, errorMessage },
});
