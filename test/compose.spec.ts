/// <reference types="vite/types/importMeta.d.ts" />
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { ConfigSection } from '#config';

/** docker-compose.yml cannot run in CI (no container engine): what can be validated is validated here. */

interface ComposeService {
  readonly image: string;
  readonly build?: string;
  readonly command?: readonly string[];
  readonly environment?: Record<string, string | number>;
  readonly depends_on?: Record<string, { condition: string }>;
  readonly volumes?: readonly string[];
  readonly profiles?: readonly string[];
  readonly mem_limit?: string;
}

const SERVICE_KEYS = new Set(
  'image build command environment depends_on volumes profiles mem_limit restart read_only tmpfs security_opt cap_drop healthcheck ports shm_size'.split(
    ' ',
  ),
);
const compose = parse(readFileSync('docker-compose.yml', 'utf8'), { merge: true }) as {
  services: Record<string, ComposeService>;
  volumes: Record<string, null>;
};
const services = Object.entries(compose.services);
const configModules = import.meta.glob<Record<string, unknown>>('../libs/*/src/**/*.config.ts', { eager: true });
const knownKeys = new Set(
  Object.values(configModules)
    .flatMap((module) => Object.values(module))
    .filter(isSection)
    .flatMap((section) => Object.values(section.settings).map((setting) => setting.key)),
);

function isSection(value: unknown): value is ConfigSection {
  return typeof value === 'object' && value !== null && 'settings' in value && 'name' in value;
}

describe('docker-compose.yml', () => {
  it('uses only keys of a service that we know', () => {
    for (const [name, service] of services)
      expect(
        Object.keys(service).filter((key) => !SERVICE_KEYS.has(key)),
        name,
      ).toEqual([]);
  });

  it('pins every image by version', () => {
    for (const [name, { image }] of services) expect(image, name).toMatch(/:(local|v?\d+\.\d+(\.\d+)?)$/);
  });

  it('sets only environment keys that the configuration knows', () => {
    const ofApps = services
      .filter(([, service]) => service.build !== undefined)
      .flatMap(([, service]) => Object.keys(service.environment ?? {}));
    expect(ofApps.length).toBeGreaterThan(0);
    expect(ofApps.filter((key) => !knownKeys.has(key) && !key.startsWith('OTEL_'))).toEqual([]);
  });

  it('starts the apps that exist, with a memory limit each', () => {
    const commands = services.filter(([, service]) => service.build !== undefined).map(([, service]) => service.command?.[1]);
    for (const command of commands) {
      expect(
        readFileSync(
          String(command)
            .replace(/^dist\//, '')
            .replace(/\.js$/, '.ts'),
          'utf8',
        ).length,
        command,
      ).toBeGreaterThan(0);
    }
    for (const [name, service] of services) expect(service.mem_limit, name).toMatch(/^\d+[mg]$/);
  });

  it('names only services, volumes and files that exist', () => {
    for (const [name, service] of services) {
      for (const needed of Object.keys(service.depends_on ?? {})) expect(compose.services[needed], `${name} needs ${needed}`).toBeDefined();
      for (const volume of service.volumes ?? []) {
        const source = volume.split(':')[0] ?? '';
        if (source.startsWith('./')) expect(existsSync(source), source).toBe(true);
        else expect(compose.volumes).toHaveProperty(source);
      }
    }
  });
});
