import { runApp, runMain } from '#http';
import { tenancyConfig } from '#tenancy';
import { SegmenterModule } from './segmenter.module.js';

await runMain(() =>
  runApp({
    name: 'segmenter',
    module: SegmenterModule.forRoot(),
    sections: SegmenterModule.sections,
    required: ['DATABASE_URL'],
    alsoKnown: [tenancyConfig],
  }),
);
