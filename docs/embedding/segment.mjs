// Writes the colour mask of one frame: node segment.mjs model.onnx frame.png mask.png
// The frame must have the size that the network sees. docs/embedding.md says more.

import { createHash } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";

import { PNG } from "pngjs";

// onnxruntime collects and sends what it sees of its use, unless this is set before it is loaded.
process.env.ORT_DISABLE_TELEMETRY ??= "1";
const { default: ort } = await import("onnxruntime-node");

// The seal is the model's last entry of metadata, 84 bytes, and ends with the SHA-256 of all that stands before it.
const SEAL = 84;
const SEAL_HEAD = "rR\n\x0ecookseg.sha256\x12@";

function fail(message) {
  throw new Error(message);
}

function read(path) {
  try {
    return readFileSync(path);
  } catch (error) {
    return fail(`${path} cannot be read: ${error.message}`);
  }
}

function requireUnbroken(model, path) {
  const end = model.length - SEAL;
  if (model.toString("latin1", end, model.length - 64) !== SEAL_HEAD) {
    fail(`${path} has no seal at its end: it was cut short or changed, or not made by cook-export`);
  }
  const digest = createHash("sha256").update(model.subarray(0, end)).digest("hex");
  if (model.toString("latin1", model.length - 64) !== digest) fail(`${path} is damaged: copy it again`);
}

// Yields number and content of every field of a protobuf message; the content is null where it is but a number.
function* fields(message) {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = message[at++];
      value += (byte & 127) * factor;
      if (!(byte >= 128)) return value; // also where the message ends too early
    }
  };
  while (at < message.length) {
    const tag = varint();
    const type = tag & 7; // 0: varint, 1: 64 bits, 2: bytes, 5: 32 bits
    if (type === 0) varint();
    const length = type === 2 ? varint() : { 1: 8, 5: 4 }[type] ?? 0;
    yield [Math.floor(tag / 8), type === 2 ? message.subarray(at, at + length) : null];
    at += length;
  }
}

// onnxruntime-node does not show a model's metadata. They are ModelProto's field 14: entries with a key and a value.
function readContract(model, path) {
  for (const [number, entry] of fields(model)) {
    if (number !== 14) continue;
    const { 1: key, 2: value } = Object.fromEntries(fields(entry));
    if (key.toString() !== "cookseg") continue;
    const contract = JSON.parse(value.toString());
    return contract.version === 1 ? contract : fail(`${path} has a contract of version ${contract.version}, not 1`);
  }
  return fail(`${path} carries no cookseg contract: it was not made by cook-export`);
}

// Returns (height, width, 3) uint8 RGB. Alpha is dropped, as cookseg does.
function readFrame(path, { height, width }) {
  const data = read(path);
  let png;
  try {
    png = PNG.sync.read(data);
  } catch (error) {
    return fail(`${path} is not a PNG, or is damaged: ${error.message}`);
  }
  if (png.depth > 8) fail(`${path} has ${png.depth} bits per sample: save it with 8`);
  if (png.width !== width || png.height !== height) {
    fail(`${path} is ${png.width}x${png.height}, but the network sees ${width}x${height}: resize it before`);
  }
  return Uint8Array.from({ length: height * width * 3 }, (_, i) => png.data[Math.floor(i / 3) * 4 + (i % 3)]);
}

function writeMask(path, classes, colors, { height, width }) {
  const png = new PNG({ width, height, colorType: 2, inputColorType: 2, inputHasAlpha: false });
  png.data = Buffer.alloc(height * width * 3);
  classes.forEach((index, pixel) => png.data.set(colors[index], pixel * 3));
  writeFileSync(`${path}.part`, PNG.sync.write(png, { colorType: 2, inputColorType: 2, inputHasAlpha: false }));
  renameSync(`${path}.part`, path); // a mask appears whole or not at all
}

async function main([modelPath, framePath, maskPath, ...more]) {
  if (!maskPath || more.length) fail("usage: node segment.mjs model.onnx frame.png mask.png");
  const model = read(modelPath);
  requireUnbroken(model, modelPath);
  const { classes: table, preprocessing } = readContract(model, modelPath);
  const frame = readFrame(framePath, preprocessing);

  const session = await ort.InferenceSession.create(model);
  const shape = [1, preprocessing.height, preprocessing.width, 3];
  // `scores`, (1, C, height, width) uint8, are the probabilities times 255, for those who ask for them too.
  const { classes } = await session.run({ frames: new ort.Tensor("uint8", frame, shape) }, ["classes"]);
  writeMask(maskPath, classes.data, table.classes.map((entry) => entry.color), preprocessing);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  console.error(`Error: ${error.message}`);
  process.exitCode = 1;
}
