import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { Injectable } from '@nestjs/common';
import { BelfryConfig } from '#config';
import { WebClientNotBuiltError, WebFileNotFoundError } from '../web-files.errors.js';
import { webFilesConfig } from '../web-files.config.js';

/** Files that other sites load. */
export const SDK_FILES = ['belfry.js', 'belfry-worker.js'] as const;

/** Files of the inbox page. */
export const PAGE_FILES = ['inbox.html', 'inbox.css', 'inbox.js', 'bell.svg'] as const;

export type WebFileName = (typeof SDK_FILES)[number] | (typeof PAGE_FILES)[number];

/** One file, ready to be sent. */
export interface WebFile {
  readonly mediaType: string;
  readonly bytes: Buffer;
  readonly gzipped: Buffer;
  /** Strong validator of the uncompressed bytes, with its quotes. */
  readonly etag: string;
}

const MEDIA_TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
};

/** Beside the compiled libs, or below `dist` when the sources run directly. */
const FOLDERS = ['../../../../web-sdk/', '../../../../dist/web-sdk/'].map((path) => fileURLToPath(new URL(path, import.meta.url)));

/**
 * The built browser client in memory: a handful of small files, read and compressed once. A path never reaches the file system, so that
 * none can lead out of the folder.
 */
@Injectable()
export class WebFiles {
  private readonly files: ReadonlyMap<string, WebFile>;

  /** @throws WebClientNotBuiltError at the start, not at the first visitor */
  constructor(config: BelfryConfig) {
    this.files = config.of(webFilesConfig).isEnabled ? readFiles() : new Map();
  }

  /** @throws WebFileNotFoundError also for every file when the client is not served */
  find(name: string, among: readonly WebFileName[]): WebFile {
    const file = among.some((known) => known === name) ? this.files.get(name) : undefined;
    if (file === undefined) throw new WebFileNotFoundError();
    return file;
  }
}

function readFiles(): Map<string, WebFile> {
  const folder = FOLDERS.find((candidate) => existsSync(candidate)) ?? FOLDERS[0] ?? '';
  try {
    return new Map([...SDK_FILES, ...PAGE_FILES].map((name) => [name, toWebFile(name, readFileSync(`${folder}${name}`))]));
  } catch (error) {
    throw new WebClientNotBuiltError(error);
  }
}

function toWebFile(name: string, bytes: Buffer): WebFile {
  return {
    mediaType: MEDIA_TYPES[name.slice(name.lastIndexOf('.') + 1)] ?? 'application/octet-stream',
    bytes,
    gzipped: gzipSync(bytes, { level: 9 }),
    etag: `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`,
  };
}
