// HOST CONNECTIONS REQUESTS: so many connections at once, so many requests over each; every one carries a number
// that its answer must carry, too. By Node's own http client. Prints what was counted, as JSON.
import http from 'node:http';

const [host, connections, each] = process.argv.slice(2);
const counted = { answered: 0, byStatus: {}, wrong: [] };

function ask(agent, path) {
  return new Promise((resolve) => {
    const request = http.get({ host, path, agent }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', (error) => resolve({ error }));
      response.on('end', () =>
        resolve({ status: response.statusCode, body: Buffer.concat(chunks).toString() }),
      );
    });
    request.on('error', (error) => resolve({ error }));
  });
}

async function visitor(number) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const name = number % 2 === 0 ? 'one' : 'two';
  for (let i = 0; i < Number(each); i++) {
    const url = `/echo/${number}/${i}`;
    const { error, status, body } = await ask(agent, `/${name}${url}`);
    if (error) {
      counted.wrong.push(`${url}: ${error.message}`);
      continue;
    }
    counted.answered++;
    counted.byStatus[status] = (counted.byStatus[status] ?? 0) + 1;
    if (status !== 200) continue;
    const found = JSON.parse(body);
    if (found.url !== url || found.text !== name) counted.wrong.push(`${url}: got ${found.url}`);
  }
  agent.destroy();
}

await Promise.all(Array.from({ length: Number(connections) }, (_, number) => visitor(number)));
counted.wrong.splice(10);
console.log(JSON.stringify(counted));
