// HTML that the library has made: charts, drawings and tables.

/**
 * Shows HTML of the library. The page's security policy forbids style attributes in HTML, but not to set them by script.
 *
 * @param {HTMLElement} container
 * @param {string} html
 */
export function showHtml(container, html) {
  const { body } = new DOMParser().parseFromString(html.replaceAll(' style="', ' data-style="'), 'text/html');
  for (const styled of /** @type {NodeListOf<HTMLElement>} */ (body.querySelectorAll('[data-style]'))) {
    styled.style.cssText = styled.dataset.style ?? '';
  }
  container.replaceChildren(...body.children);
}
