// grpc-js, as a client that watches the health of servers: a line for each status that a call of Watch hears of, and for its end.
import { createRequire } from 'node:module'

const { MODULES, ADDRESS, SERVICES } = process.env
const grpc = createRequire(`${MODULES}/`)('@grpc/grpc-js')
const client = new grpc.Client(ADDRESS, grpc.credentials.createInsecure())

// One field each: a text, and a number.
const request = (service) => Buffer.concat([Buffer.from([0x0a, service.length]), Buffer.from(service)])
const status = (message) => message[1]

for (const [at, service] of SERVICES.split(',').entries()) {
  const call = client.makeServerStreamRequest('/grpc.health.v1.Health/Watch', request, status, service)
  call.on('data', (told) => console.log(at, told))
  // The status says it.
  call.on('error', () => {})
  call.on('status', ({ code }) => console.log(at, 'ended', code))
}
