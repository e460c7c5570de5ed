import './main.css';
import { createApp } from './app.ts';
import { connectHost } from './host.ts';
import { createPage } from './page.ts';
import { registerControls } from './ui/controls.ts';

registerControls();
const app = createApp(connectHost());
document.body.append(createPage(app, document.body.dataset['layoutWorker'] ?? ''));
