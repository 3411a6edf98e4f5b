/** Buttons to the pages of a list. Nothing where there is one page. */
import type { Paged } from './pages.ts';

export const PageButtons = ({ pages }: { readonly pages: Paged<unknown> }) => {
  const { page, next, previous } = pages;
  if (!next && !previous) return null;
  return (
    <nav class="pages" aria-label="Pages">
      <button type="button" disabled={!previous} onClick={() => previous?.()}>
        ← Previous
      </button>
      <span class="faint">Page {page}</span>
      <button type="button" disabled={!next} onClick={() => next?.()}>
        Next →
      </button>
    </nav>
  );
};
