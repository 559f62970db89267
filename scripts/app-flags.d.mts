export function appFlags(app: string): string[];
