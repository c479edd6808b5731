// The way in and out of these programs: JSON on standard input, JSON on standard output.
import { text } from "node:stream/consumers";

export const input = async () => JSON.parse(await text(process.stdin));

export const output = (value) => process.stdout.write(JSON.stringify(value));

// answer gives the input's items to f, one after the other, and writes what it returns.
export async function answer(f) {
  const answers = [];
  for (const item of await input()) answers.push(await f(item));
  output(answers);
}
