import { runApp, runMain } from '#http';
import { SegmenterModule } from './segmenter.module.js';

await runMain(() => runApp({ name: 'segmenter', module: SegmenterModule.forRoot(), sections: SegmenterModule.sections }));
