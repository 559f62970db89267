import type { z } from 'zod';
import type { Setting } from './setting.js';

/** Settings of one section by the name that the code uses for them. */
export type SettingMap = Readonly<Record<string, Setting>>;

/** The parsed values of a settings map. */
export type ValuesOf<Settings extends SettingMap> = { readonly [Name in keyof Settings]: z.output<Settings[Name]['schema']> };

/** What is wrong with one key, in words for the person who starts the process. */
export interface ConfigFault {
  readonly key: string;
  readonly problem: string;
  readonly remedy?: string;
}

/** The settings that one lib owns. */
export interface ConfigSection<Settings extends SettingMap = SettingMap> {
  /** The lib's or context's name: `database`, `http`, `push`. */
  readonly name: string;
  readonly settings: Settings;
  /** Rules over several settings; runs only when each setting of the section is valid. */
  check?(values: ValuesOf<Settings>): readonly ConfigFault[];
}

/** The parsed values of a section: `ConfigOf<typeof databaseConfig>`. */
export type ConfigOf<Section> = Section extends ConfigSection<infer Settings> ? ValuesOf<Settings> : never;

/** Rules of a section beyond its single settings. */
export interface SectionRules<Settings extends SettingMap> {
  /** @see ConfigSection.check */
  check?(values: ValuesOf<Settings>): readonly ConfigFault[];
}

/** Declares the settings that one lib owns. Export the result from `<context>.config.ts`. */
export function defineConfig<Settings extends SettingMap>(
  name: string,
  settings: Settings,
  rules: SectionRules<Settings> = {},
): ConfigSection<Settings> {
  return Object.freeze({ name, settings: Object.freeze({ ...settings }), ...rules });
}
