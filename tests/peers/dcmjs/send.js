// An echo, or files, sent in one association: node send.js HOST PORT CALLED [FILE...]
// Prints the status of each answer in hexadecimal, a line each; exit code 1 if there is none.
const { Client, requests } = require('dcmjs-dimse');

const [host, port, called, ...files] = process.argv.slice(2);
const client = new Client();
const messages = files.length
  ? files.map((file) => new requests.CStoreRequest(file))
  : [new requests.CEchoRequest()];

for (const message of messages) {
  message.on('response', (response) => {
    console.log(response.getStatus().toString(16).padStart(4, '0'));
  });
  client.addRequest(message);
}

function fail(words) {
  console.error(words);
  process.exitCode = 1;
}

client.on('networkError', (error) => fail(`network error: ${error.message}`));
client.on('associationRejected', ({ result, source, reason }) => {
  fail(`rejected: ${result},${source},${reason}`);
});
client.send(host, Number(port), 'DCMJS', called);
