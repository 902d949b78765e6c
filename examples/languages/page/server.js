// The page, in Node.js: shows the price that it asks for, and says so where there is none.
const http = require("http");

const server = http.createServer((request, response) => {
  if (request.url === "/healthz") return response.end();
  const asked = http.get(process.env.PRICES_URL, { timeout: 1000 }, (answer) => {
    let text = "";
    answer.on("data", (chunk) => (text += chunk));
    answer.on("end", () => response.end(`tea costs ${JSON.parse(text).tea}\n`));
  });
  asked.on("timeout", () => asked.destroy(new Error("no answer in time")));
  asked.on("error", () => response.end("tea is there, its price is not known now\n"));
});
server.listen(3000, () => console.log("listening on 3000"));
process.on("SIGTERM", () => server.close(() => process.exit()));
