// tus-js-client and Uppy as a page would use them: node tus_client.mjs MODULES KIND ENDPOINT TOKEN FILE NAME CHUNK [STOP_AT]
// Prints a line for each piece that was accepted, and "done URL" or "stopped URL" at the end.
import fs from 'node:fs'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const [modules, kind, endpoint, token, file, name, chunk, stopAt] = process.argv.slice(2)
const require = createRequire(pathToFileURL(`${modules}/`))
const headers = { Authorization: `Bearer ${token}` }
const retryDelays = Array(40).fill(500)
const chunkSize = Number(chunk)

function say(...words) {
  process.stdout.write(`${words.join(' ')}\n`)
}

function fail(error) {
  say('failed', String(error))
  process.exit(1)
}

function withTus(tus) {
  const upload = new tus.Upload(fs.createReadStream(file), {
    endpoint,
    headers,
    retryDelays,
    chunkSize,
    uploadSize: fs.statSync(file).size,
    uploadDataDuringCreation: kind === 'with-creation',
    metadata: { path: name },
    protocol: kind === 'draft' ? 'ietf-draft-05' : 'tus-v1',
    urlStorage: new tus.FileUrlStorage(`${file}.urls`),
    removeFingerprintOnSuccess: true,
    onError: fail,
    onChunkComplete(_size, accepted) {
      say('accepted', accepted)
      if (stopAt && accepted >= Number(stopAt)) upload.abort().then(() => { say('stopped', upload.url); process.exit(0) })
    },
    onSuccess() {
      say('done', upload.url)
      process.exit(0)
    },
  })
  upload.findPreviousUploads().then((previous) => {
    if (previous.length) {
      say('resumes', previous[0].uploadUrl)
      upload.resumeFromPreviousUpload(previous[0])
    }
    upload.start()
  })
}

function withUppy(Uppy, Tus) {
  const uppy = new Uppy({ autoProceed: false })
  uppy.use(Tus, { endpoint, headers, retryDelays, chunkSize, allowedMetaFields: ['name', 'path'], storeFingerprintForResuming: false })
  uppy.on('upload-progress', (_file, progress) => say('accepted', progress.bytesUploaded))
  uppy.on('upload-error', (_file, error) => fail(error))
  uppy.on('upload-success', (_file, answer) => say('done', answer.uploadURL))
  uppy.addFile({ name, data: fs.readFileSync(file), meta: { path: name } })
  uppy.upload().then(() => process.exit(0))
}

if (kind === 'uppy') {
  const [core, plugin] = await Promise.all(['@uppy/core', '@uppy/tus'].map((each) => import(pathToFileURL(`${modules}/node_modules/${each}/lib/index.js`))))
  withUppy(core.default ?? core.Uppy, plugin.default)
} else {
  withTus(require('tus-js-client'))
}
