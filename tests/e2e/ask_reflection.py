"""grpcio-reflection, as a client that knows no service before it asks: prints which services there are with their methods, whether a
key passes Check, and the health of all services. Each call is built from what the server describes, and from nothing else."""

import json
import os

import grpc
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

channel = grpc.insecure_channel(os.environ["ADDRESS"], options=[("grpc.enable_http_proxy", 0)])
database = ProtoReflectionDescriptorDatabase(channel)
pool = DescriptorPool(database)


def call(service, method, request):
    method = pool.FindServiceByName(service).methods_by_name[method]
    question, answer = map(message_factory.GetMessageClass, (method.input_type, method.output_type))
    ask = channel.unary_unary(
        f"/{service}/{method.name}", request_serializer=question.SerializeToString, response_deserializer=answer.FromString
    )
    told = ask(json_format.ParseDict(request, question(), descriptor_pool=pool), timeout=120)
    return json_format.MessageToDict(told, descriptor_pool=pool, always_print_fields_with_no_presence=True)


def check(key):
    http = {"method": "GET", "path": "/", "host": "shop.example", "headers": {"x-api-key": key}}
    attributes = {"source": {"address": {"socketAddress": {"address": "192.0.2.7", "portValue": 7}}}, "request": {"http": http}}
    return call("envoy.service.auth.v3.Authorization", "Check", {"attributes": attributes})


services = {name: list(pool.FindServiceByName(name).methods_by_name) for name in database.get_services()}
extensions = database.FindAllExtensionNumbers("google.protobuf.FieldOptions")
health = call("grpc.health.v1.Health", "List", {})
key, wrong = os.environ["KEY"], os.environ["WRONG"]
print(json.dumps({"services": services, "extensions": extensions, "accepted": check(key), "refused": check(wrong), "health": health}))
