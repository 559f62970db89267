import { runApp, runMain } from '#http';
import { PushDeliveryAppModule } from './push-delivery.module.js';

await runMain(() =>
  runApp({
    name: 'push-delivery',
    module: PushDeliveryAppModule.forRoot(),
    sections: PushDeliveryAppModule.sections,
    required: ['DATABASE_URL'],
  }),
);
