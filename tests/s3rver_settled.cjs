// s3rver answers a PUT when it has taken the last byte, and not when its file has it: whoever reads at once reads an
// empty object, as S3 never shows one. Loaded before it, this lets each answer wait until the file is closed.
"use strict";

const root = process.env.S3RVER_MODULES;
const files = require(`${root}/fs-extra`);
const Store = require(`${root}/s3rver/lib/stores/filesystem`);

const closed = new Map(); // by path, of each file that was begun
const { createWriteStream } = files;
files.createWriteStream = (path, ...rest) => {
  const stream = createWriteStream(path, ...rest);
  const before = closed.get(path);
  const done = new Promise((resolve) => stream.once("close", resolve)).then(() => before);
  closed.set(path, done);
  done.then(() => closed.get(path) === done && closed.delete(path));
  return stream;
};

const { putObject } = Store.prototype;
Store.prototype.putObject = async function settled(object) {
  const result = await putObject.call(this, object);
  await closed.get(this.getResourcePath(object.bucket, object.key, "object"));
  return result;
};
