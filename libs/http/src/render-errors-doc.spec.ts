import { describe, expect, it } from 'vitest';
import type { ErrorFacts } from '#contracts';
import { HTTP_ERRORS } from './http.errors.js';
import { renderErrorsDoc, renderErrorsPage } from './render-errors-doc.js';

function factsOf(code: string, title: string): { facts: ErrorFacts } {
  return { facts: { code, title, hint: 'Do | this.', httpStatus: 400, disposition: 'retry' } };
}

describe('renderErrorsDoc', () => {
  it('lists each code once, sorted, with its remedy', () => {
    const doc = renderErrorsDoc([factsOf('b_code', 'B'), factsOf('a_code', 'A')].flatMap((error) => [error, error]));
    expect(doc.match(/^\| <a id.*$/gm)).toEqual([
      '| <a id="a_code"></a>`a_code` | 400 | A | Do \\| this. | retry |',
      '| <a id="b_code"></a>`b_code` | 400 | B | Do \\| this. | retry |',
    ]);
  });

  it('refuses two classes with one code', () => {
    expect(() => renderErrorsDoc([factsOf('code', 'A'), factsOf('code', 'B')])).toThrow('Two error classes have the code code.');
  });

  it("takes this lib's errors", () => {
    for (const { facts } of HTTP_ERRORS) expect(renderErrorsDoc(HTTP_ERRORS)).toContain(`\`${facts.code}\` | ${facts.httpStatus}`);
  });
});

it('renders a page with an anchor per code that shows markup as text', () => {
  const page = renderErrorsPage([factsOf('code', '<script>alert(1)</script>')]);
  expect(page).toContain('<section id="code">');
  expect(page).not.toContain('<script>');
});
