export { compileRule, type CompiledRule, type CompileOptions } from './rule/compile-rule.js';
export { evaluateRule, type RuleSubject } from './rule/evaluate-rule.js';
export * from './rule/rule.js';
export { ruleSchema } from './rule/rule.schema.js';
export * from './segment.store.js';
export * from './segments.errors.js';
export * from './segments.limits.js';
export * from './segments.module.js';
