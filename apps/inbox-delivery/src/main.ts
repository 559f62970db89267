import { runApp, runMain } from '#http';
import { tenancyConfig } from '#tenancy';
import { InboxDeliveryAppModule } from './inbox-delivery.module.js';

await runMain(() =>
  runApp({
    name: 'inbox-delivery',
    module: InboxDeliveryAppModule.forRoot(),
    sections: InboxDeliveryAppModule.sections,
    required: ['DATABASE_URL'],
    alsoKnown: [tenancyConfig],
  }),
);
