import 'uplot/dist/uPlot.min.css';
import './base.css';
import './layout.css';
import './views.css';

import { render } from 'preact';

import { App } from './app';
import { begin } from './live';

// On a wall nobody clicks: /?wall leaves search, views and legend out.
document.documentElement.toggleAttribute('data-wall', new URLSearchParams(location.search).has('wall'));
const root = document.getElementById('page');
if (root) render(<App />, root);
void begin();
