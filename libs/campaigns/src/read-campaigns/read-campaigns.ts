import { Injectable } from '@nestjs/common';
import { ContentStore, type Content } from '#content';
import { listCursor, pageQuerySchema, toPage, type Page, type PageQuery } from '#http';
import { CampaignNotFoundError } from '../campaigns.errors.js';
import { CampaignStore, type Campaign } from '../campaign.store.js';
import { presentCampaign, type CampaignResource } from './campaign-resource.js';

const cursors = listCursor('campaigns');

/** The query of the list of campaigns. */
export const campaignQuerySchema = pageQuerySchema(cursors);

/** Reads campaigns with their content. */
@Injectable()
export class ReadCampaigns {
  constructor(
    private readonly campaigns: CampaignStore,
    private readonly contents: ContentStore,
  ) {}

  /** @throws CampaignNotFoundError */
  async read(environmentId: string, campaignId: string): Promise<CampaignResource> {
    const campaign = await this.campaigns.find(environmentId, campaignId);
    if (campaign === undefined) throw new CampaignNotFoundError();
    return presentCampaign(campaign, requireContent(campaign, await this.contents.find(environmentId, campaign.contentId)));
  }

  /** The campaigns of the environment, newest first. */
  async list(environmentId: string, query: PageQuery): Promise<Page<CampaignResource>> {
    const before = cursors.decode(query.cursor);
    const campaigns = await this.campaigns.list(environmentId, { limit: query.limit + 1, before });
    const contents = await this.contents.findMany(
      environmentId,
      campaigns.map((campaign) => campaign.contentId),
    );
    return toPage(
      campaigns,
      query.limit,
      (campaign) => presentCampaign(campaign, requireContent(campaign, contents.get(campaign.contentId))),
      (campaign) => cursors.encode(campaign.id),
    );
  }
}

/** A campaign and its content are written together and contents are never deleted while one names them. */
function requireContent(campaign: Campaign, content: Content | undefined): Content {
  if (content === undefined) throw new Error(`The content of campaign ${campaign.id} is missing.`);
  return content;
}
