/** Parts of a page, each with an address. Arrow keys go from one to the next. */
import { hrefOf, navigate } from '../router.tsx';

export type Tab = { readonly name: string; readonly title: string };

export const Tabs = ({
  label,
  base,
  tabs,
  current,
}: {
  readonly label: string;
  /** The address of the page. The first tab has it; the others add their names. */
  readonly base: readonly string[];
  readonly tabs: readonly Tab[];
  readonly current: string;
}) => {
  const hrefs = tabs.map(({ name }, index) => hrefOf(index === 0 ? base : [...base, name]));
  const isUnknown = !tabs.some(({ name }) => name === current);
  const onKeyDown = (event: KeyboardEvent, index: number) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const next = (index + step + tabs.length) % tabs.length;
    navigate(hrefs[next] ?? '', { replace: true });
    const list = (event.currentTarget as HTMLElement).parentElement;
    (list?.children[next] as HTMLElement | undefined)?.focus();
  };
  return (
    <div class="tabs" role="tablist" aria-label={label}>
      {tabs.map(({ name, title }, index) => {
        const isCurrent = name === current;
        const isReached = isCurrent || (isUnknown && index === 0);
        return (
          <a
            key={name}
            id={`tab-${name}`}
            role="tab"
            href={hrefs[index] ?? ''}
            aria-selected={isCurrent}
            {...(!isUnknown && { 'aria-controls': 'tab-panel' })}
            tabIndex={isReached ? 0 : -1}
            onKeyDown={(event) => onKeyDown(event, index)}
          >
            {title}
          </a>
        );
      })}
    </div>
  );
};
