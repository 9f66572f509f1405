"""Logs in to RabbitMQ, declares a queue, and reads what it sent; says what came, or that it was refused."""

import os

import pika
from pika.exceptions import AMQPError, ProbableAuthenticationError, ProbableAccessDeniedError

login = pika.PlainCredentials(os.environ["LOGIN"], os.environ["KEY"])
parameters = pika.ConnectionParameters("127.0.0.1", int(os.environ["PORT"]), credentials=login)
try:
    with pika.BlockingConnection(parameters) as connection:
        channel = connection.channel()
        channel.queue_declare("orders", auto_delete=True)
        channel.basic_publish("", "orders", b"a message")
        print(next(channel.consume("orders"))[2].decode())
except (ProbableAuthenticationError, ProbableAccessDeniedError):
    print("refused")
except AMQPError as error:
    raise SystemExit(f"{error!r}")
